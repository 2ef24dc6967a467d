# SPDX-License-Identifier: GPL-2.0-or-later
"""What the packages' scripts delete, and what they leave, in folders of the test's own."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from panicast_build.build import deb
from panicast_build.core.paths import ROOT
from panicast_build.targets import distros, metadata

DEBCONF = """
db_input() { :; }
db_go() { :; }
db_get() { RET="$ANSWER"; }
"""
COMMANDS = ("depmod", "dpkg-query", "rpm", "dkms")


def sh(script: str, folder: Path, **env: str) -> None:
    """Runs a script; the commands that it must not find here do nothing, and own nothing."""
    commands = folder / "commands"
    commands.mkdir(exist_ok=True)
    for name in COMMANDS:
        path = commands / name
        if not path.exists():
            path.write_text("#!/bin/sh\nexit 1\n")
            path.chmod(0o755)
    path = f"{commands}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-e", "-c", script, "sh", "purge"], env={"PATH": path, **env}, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("answer", "left"), [("true", False), ("false", True), ("", True), (None, True)], ids=repr
)
def test_a_purge_deletes_records_only_if_somebody_said_so(
    tmp_path: Path, answer: str | None, left: bool
) -> None:
    """Not where nobody answered, nor where nobody could be asked: there is no debconf."""
    component = metadata.COMPONENTS["receiver"]
    distro = distros.of_family(distros.DebDistro)["debian-12"]
    script = deb.render(metadata.load(), component, distro, epoch=0)["postrm"].decode()
    confmodule = tmp_path / "confmodule"
    if answer is not None:
        confmodule.write_text(DEBCONF)
    for path in ("/usr/share/debconf/confmodule", "/var/lib/", "/etc/"):
        assert path in script
    script = script.replace("/usr/share/debconf/confmodule", str(confmodule))
    script = script.replace("/var/lib/", f"{tmp_path}/var/").replace("/etc/", f"{tmp_path}/etc/")
    record = tmp_path / "var/panicast/panicast.db"
    record.parent.mkdir(parents=True)
    record.touch()
    sh(script, tmp_path, ANSWER=answer or "")
    assert record.exists() == left


def test_modules_that_nobody_knows_of_go_and_links_to_others_stay(tmp_path: Path) -> None:
    """On EL kernels share a module by links; only one that leads nowhere is of no use."""
    script = (ROOT / "packaging/templates/shared/dkms.sh").read_text()
    assert "/lib/modules/" in script
    script = script.replace("/lib/modules/", f"{tmp_path}/modules/").replace("/var/lib/", f"{tmp_path}/var/")
    built, sharing = tmp_path / "modules/5.14.0-1", tmp_path / "modules/5.14.0-2"
    for name in ("extra/panicast.ko.xz", "updates/dkms/panicast.ko.xz", "updates/dkms/other.ko.xz"):
        (built / name).parent.mkdir(parents=True, exist_ok=True)
        (built / name).touch()
    (sharing / "weak-updates").mkdir(parents=True)
    (sharing / "weak-updates/panicast.ko.xz").symlink_to(built / "extra/panicast.ko.xz")
    (sharing / "weak-updates/panicast_seal.ko.xz").symlink_to(built / "extra/panicast_seal.ko.xz")
    sh(f"{script}\nremove_left updates/dkms", tmp_path)
    left = [path for path in (tmp_path / "modules").rglob("*") if not stat.S_ISDIR(path.lstat().st_mode)]
    assert sorted(left) == [
        built / "extra/panicast.ko.xz",
        built / "updates/dkms/other.ko.xz",
        sharing / "weak-updates/panicast.ko.xz",
    ]
