# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes what is published beside a Debian kernel: its source package, which its licence demands,
and the metapackages by which a machine gets the next kernel.

The source package holds the source as it came, the patch, the configuration, and rules that do with
them what the pipeline does. It is native: the distribution's next package of the same version has
another tarball.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from typing import NamedTuple, TextIO

from panicast_build.core import archive, templating
from panicast_build.core.paths import ROOT
from panicast_build.engine.container import Container
from panicast_build.kernel import series
from panicast_build.kernel.tree import BUILD, MODULE, TREE, USER, Prepared, Wanted, module_sources
from panicast_build.targets.distros import DebDistro
from panicast_build.targets.metadata import Project

TEMPLATES = ROOT / "packaging" / "templates" / "deb" / "linux-panicast"
METAPACKAGES = {"image": "Linux", "headers": "headers of Linux"}


class BuiltKernel(NamedTuple):
    """The built kernel: its packages' version, what their changelog says, and make's variables."""

    version: str
    entry: str
    variables: Mapping[str, str]


def add(
    box: Container,
    project: Project,
    distro: DebDistro,
    wanted: Wanted,
    prepared: Prepared,
    kernel: BuiltKernel,
    log: TextIO,
) -> None:
    """Leaves in BUILD a .dsc, its tarball and the metapackages of the kernel that is prepared in
    box."""
    release = box.run(["make", "--silent", "kernelrelease"], cwd=TREE, user=USER).output.strip()
    patch = series.for_version(prepared.version).patch
    source = kernel.variables["KDEB_SOURCENAME"]
    values = {
        "project": project,
        "distro": distro,
        "source": source,
        "version": kernel.version,
        "entry": kernel.entry,
        "date": email.utils.formatdate(prepared.epoch),
        "release": release,
        "suffix": wanted.config.suffix,
        "title": wanted.config.title,
        "metapackages": METAPACKAGES,
        "patch": patch.name,
        "module": MODULE,
        "variables": {**kernel.variables, "HOME": "$(CURDIR)"},
    }
    environment = templating.environment(TEMPLATES)
    debian = {name: environment.get_template(name).render(values) for name in archive.read_tree(TEMPLATES)}
    folder = f"{BUILD}/source/{source}-{kernel.version}"
    box.run(["mkdir", "-p", folder], log=log)
    box.run(["cp", prepared.tarball, folder], log=log)
    box.run(["cp", f"{TREE}/.config", f"{folder}/config"], log=log)
    box.write(
        {patch.name: patch, **{f"debian/{name}": text.encode() for name, text in debian.items()}}, folder
    )
    if wanted.key:
        box.write({f"module/{name}": path for name, path in module_sources().items()}, folder)
    box.run(["chmod", "755", f"{folder}/debian/rules"])
    box.run(["chown", "-R", USER, f"{BUILD}/source"])
    env = {name: kernel.variables[name] for name in ("SOURCE_DATE_EPOCH", "HOME")}
    # Before the metapackages leave something in it. Its tarball is small only in what is not packed already.
    box.run(["dpkg-source", "-sn", "-z1", "-b", folder], log=log, cwd=f"{BUILD}/source", user=USER, env=env)
    box.run(["make", "-f", "debian/rules", "metapackages"], log=log, cwd=folder, user=USER, env=env)
    made = box.run(["find", f"{BUILD}/source", "-maxdepth", "1", "-type", "f"]).output.split()
    box.run(["mv", "-t", BUILD, *made], log=log)
