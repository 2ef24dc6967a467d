# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock zypper on what ./inv repo published: it asks once about the key, refreshes by itself, and refuses
what is not whole."""

from __future__ import annotations

from pathlib import Path

from panicast_build.repository import task
from panicast_build.repository.key import Key
from panicast_build.targets import metadata

from .conftest import OURS, SUSE, THEIRS, URL, Client, refuses_untrusted

PACKAGE = "panicast-receiver"
MOVED = f"{URL}/moved"
ZYPPER = ["zypper", "--non-interactive"]
KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-panicast"
ENTRY = "/etc/zypp/repos.d/panicast.repo"


def trust(box: Client) -> None:
    """As docs/release.md says to do it where nobody can answer."""
    box.run(["rpm", "--import", KEY])
    # It asks a repository again only ten minutes later, unless it is told otherwise.
    box.write({"zypp.conf": b"[main]\nrepo.refresh.delay = 0\n"}, "/etc/zypp")


def install(box: Client) -> tuple[bool, str]:
    """Whether zypper installed the receiver, and what it said. Nobody tells it to read the index again."""
    said = box.run([*ZYPPER, "install", "--no-recommends", PACKAGE], check=False)
    return box.run(["rpm", "-q", PACKAGE], check=False).code == 0, said.output


def test_installs_once_the_key_is_trusted(zypper: Client, keys: dict[str, Key]) -> None:
    installed, said = install(zypper)
    assert not installed and keys[OURS].fingerprint in said.replace(" ", "")
    trust(zypper)
    installed, said = install(zypper)
    assert installed, said
    assert metadata.load().version in zypper.run(["rpm", "-q", PACKAGE]).output


def test_refuses_a_package_that_was_tampered_with(zypper: Client, copy: Path) -> None:
    (rpm,) = (copy / "current/rpm" / SUSE).glob(f"{PACKAGE}-*.rpm")
    text = bytearray(rpm.read_bytes())
    text[-100] ^= 1
    rpm.write_bytes(text)
    zypper.serve(copy)
    trust(zypper)
    installed, said = install(zypper)
    assert not installed and "seems to be corrupted" in said, said


def test_refuses_an_unknown_key_and_no_signature(zypper: Client, copy: Path, keys: dict[str, Key]) -> None:
    trust(zypper)
    refuses_untrusted(zypper, copy, SUSE, keys[THEIRS], install, "unknown key", "unsigned")


def test_an_upgrade_brings_the_next_key_and_a_corrected_address(zypper: Client, copy: Path) -> None:
    """Even where the source entry was edited."""
    trust(zypper)
    zypper.run([*ZYPPER, "refresh"])
    zypper.run([*ZYPPER, "modifyrepo", "--priority", "98", "panicast"])
    task.run(OURS, SUSE, str(copy), MOVED, trust=THEIRS)
    zypper.serve(copy)
    zypper.run([*ZYPPER, "update", "panicast-release"])
    assert zypper.read(KEY).decode().count("BEGIN PGP") == 2
    assert "priority=98" in zypper.read(ENTRY).decode()
    assert "GET /moved/" not in zypper.read("/srv/log").decode()

    task.run(THEIRS, SUSE, str(copy), MOVED, trust=OURS)
    zypper.serve(copy)
    zypper.run(["ln", "-s", ".", "/srv/www/moved"])
    # This zypper (libzypp before 17.26) does not take the key from the index.
    trust(zypper)
    installed, said = install(zypper)
    assert installed, said
    assert f"GET /moved/rpm/{SUSE}/repodata/repomd.xml" in zypper.read("/srv/log").decode()


def test_the_index_names_every_key_that_is_trusted(copy: Path, keys: dict[str, Key]) -> None:
    """libzypp from 17.26 on takes a next key from an index that the last one signed."""
    task.run(OURS, SUSE, str(copy), URL, trust=THEIRS)
    folder = copy / "current/rpm" / SUSE
    index = (folder / "repodata/repomd.xml").read_text()
    for name in (OURS, THEIRS):
        fingerprint = keys[name].fingerprint
        file = f"gpg-pubkey-{fingerprint[-8:].lower()}-{keys[name].created():08x}.asc"
        assert f"<content>{file}?fpr={fingerprint}</content>" in index
        assert "BEGIN PGP PUBLIC KEY BLOCK" in (folder / file).read_text()
