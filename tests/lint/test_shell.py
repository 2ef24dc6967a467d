# SPDX-License-Identifier: GPL-2.0-or-later
"""Shell scripts under shellcheck: those of the tree, and the maintainer scripts as rendered."""

from pathlib import Path

import pytest

from panicast_build.build import deb, rpm
from panicast_build.core import tools
from panicast_build.core.paths import ROOT
from panicast_build.core.run import run
from panicast_build.targets import distros, metadata

SCRIPTS = [
    *("inv", ".ci/run", "kmod/dist/panicast-ctl"),
    *(str(part.relative_to(ROOT)) for part in sorted(ROOT.glob("kmod/dist/ctl/*.sh"))),
    *(
        str(part.relative_to(ROOT))
        for part in sorted(ROOT.glob("kmod/dist/initramfs/**/*"))
        if part.is_file()
    ),
]


def shellcheck(*scripts: Path) -> None:
    tools.need("shellcheck")
    result = run(["shellcheck", *scripts], check=False)
    assert result.code == 0, result.output


@pytest.mark.parametrize("script", SCRIPTS)
def test_script(script: str) -> None:
    shellcheck(ROOT / script)


@pytest.mark.parametrize("component", metadata.of_family("deb"), ids=lambda c: c.name)
def test_maintainer_scripts(component: metadata.Component, tmp_path: Path) -> None:
    distro = distros.of_family(distros.DebDistro)["debian-12"]
    rendered = deb.render(metadata.load(), component, distro, epoch=0)
    scripts = []
    for name, text in rendered.items():
        if text.startswith(b"#!/bin/sh"):
            scripts.append(tmp_path / name)
            scripts[-1].parent.mkdir(parents=True, exist_ok=True)
            scripts[-1].write_bytes(text)
    assert scripts
    shellcheck(*scripts)


@pytest.mark.parametrize("name", distros.of_family(distros.RpmDistro))
def test_module_builder(name: str, tmp_path: Path) -> None:
    distro = distros.of_family(distros.RpmDistro)[name]
    rendered = rpm.render(metadata.load(), metadata.COMPONENTS["kmod"], distro, epoch=0)
    script = tmp_path / "build-modules"
    script.write_bytes(rendered[script.name])
    shellcheck(script)
