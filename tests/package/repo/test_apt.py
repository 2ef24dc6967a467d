# SPDX-License-Identifier: GPL-2.0-or-later
"""Stock apt on what ./inv repo published: it installs what is whole, and refuses all else."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from panicast_build.build import dist
from panicast_build.core import paths
from panicast_build.core.errors import UserError
from panicast_build.core.run import run
from panicast_build.repository import apt as suites
from panicast_build.repository import publish, task
from panicast_build.repository.key import Key, export
from panicast_build.targets import metadata
from panicast_build.targets.distros import get

from .conftest import DEB, OURS, THEIRS, URL, Client

INDEX = "deb/dists/bookworm"
PACKAGE = "panicast-receiver"
INSTALL = ["apt-get", "install", "-y", "--no-install-recommends", PACKAGE]


def update(box: Client) -> tuple[bool, str]:
    """Whether apt took the index, and what it said."""
    said = box.run(["apt-get", "update", "-o", "APT::Update::Error-Mode=any"], check=False)
    return said.code == 0, said.output


def test_installs_by_hash(apt: Client) -> None:
    taken, said = update(apt)
    assert taken, said
    apt.run(INSTALL)
    assert metadata.load().version in apt.run(["dpkg-query", "-W", PACKAGE]).output
    log = apt.read("/srv/log").decode()
    assert "/by-hash/SHA256/" in log and "GET /deb/dists/bookworm/InRelease" in log
    assert apt.run(["apt-get", "source", "--download-only", PACKAGE], cwd="/tmp", check=False).code != 0
    apt.run(["sed", "-i", "s/^Types: deb$/Types: deb deb-src/", "/etc/apt/sources.list.d/panicast.sources"])
    assert update(apt)[0]
    apt.run(["apt-get", "source", "--download-only", PACKAGE], cwd="/tmp")


def test_an_upgrade_takes_nothing_of_the_distributions(apt: Client) -> None:
    """Even where this machine has built kernels: they are not published unless they are named."""
    assert update(apt)[0]
    apt.run(INSTALL)
    would = apt.run(["apt-get", "-s", "dist-upgrade"]).output
    assert [line for line in would.splitlines() if line.startswith("Inst ")] == []


def test_kernels_are_a_component_that_is_asked_for(
    apt: Client, copy: Path, tmp_path: Path, monkeypatch
) -> None:
    """A machine that has the archive does not see them; one that asks for the component does."""
    made = tmp_path / "dist"
    # Another test may have built a kernel there.
    shutil.copytree(paths.dist_dir(DEB), made / DEB, ignore=shutil.ignore_patterns("kernel"))
    kernel = made / paths.kernel_target(DEB)
    kernel.mkdir(parents=True)
    files = []
    for name in ("linux-image-9-panicast", "linux-libc-dev"):
        control = f"Package: {name}\nVersion: 99\nArchitecture: amd64\nMaintainer: us\nDescription: test\n"
        (tmp_path / name / "DEBIAN").mkdir(parents=True)
        (tmp_path / name / "DEBIAN/control").write_text(control)
        run(["dpkg-deb", "--build", "--root-owner-group", tmp_path / name, kernel / f"{name}_99_amd64.deb"])
        files.append(f"{name}_99_amd64.deb")
    files += source_package(kernel)
    stated = {"components": {"distro": {"files": [dist.describe(kernel / name) for name in files]}}}
    (kernel / dist.METADATA).write_text(json.dumps(stated))
    for module in (paths, dist):
        monkeypatch.setattr(module, "DIST", made)
    task.run(OURS, DEB, str(copy), URL, kernel_names=DEB)
    apt.serve(copy)
    assert update(apt)[0]
    assert "linux-image-9-panicast" not in apt.run(["apt-cache", "pkgnames"]).output
    apt.run(["sed", "-i", "s/^Components: main$/& kernel/", "/etc/apt/sources.list.d/panicast.sources"])
    assert update(apt)[0]
    assert "linux-image-9-panicast" in apt.run(["apt-cache", "pkgnames"]).output
    assert "99" not in apt.run(["apt-cache", "policy", "linux-libc-dev"]).output
    (sources,) = (copy / "current").rglob("kernel/source/Sources")
    assert "Package: linux-panicast\n" in sources.read_text()


def source_package(folder: Path) -> tuple[str, str]:
    """Writes the smallest source package of a kernel; returns the names of its files."""
    archive, description = "linux-panicast_99.tar.gz", "linux-panicast_99.dsc"
    with tarfile.open(folder / archive, "w:gz"):
        pass
    packed = (folder / archive).read_bytes()
    fields = ["Format: 3.0 (native)", "Source: linux-panicast", "Binary: linux-image-9-panicast"]
    fields += ["Architecture: amd64", "Version: 99", "Maintainer: us"]
    for field, algorithm in (("Checksums-Sha256", hashlib.sha256), ("Files", hashlib.md5)):
        fields += [f"{field}:", f" {algorithm(packed).hexdigest()} {len(packed)} {archive}"]
    (folder / description).write_text("\n".join(fields) + "\n")
    return archive, description


def test_refuses_a_package_that_was_tampered_with(apt: Client, copy: Path) -> None:
    (deb,) = (copy / "current/deb/pool/bookworm").glob(f"{PACKAGE}_*.deb")
    text = bytearray(deb.read_bytes())
    text[-100] ^= 1
    deb.write_bytes(text)
    apt.serve(copy)
    assert update(apt)[0]
    refused = apt.run(INSTALL, check=False)
    assert refused.code != 0 and "Hash Sum mismatch" in refused.output
    assert apt.run(["dpkg-query", "-W", PACKAGE], check=False).code != 0


def test_refuses_an_index_that_was_tampered_with(apt: Client, copy: Path) -> None:
    for name in ("InRelease", "Release"):
        path = copy / "current" / INDEX / name
        path.write_text(path.read_text().replace("Codename: bookworm", "Codename: other"))
    apt.serve(copy)
    taken, said = update(apt)
    assert not taken and "BADSIG" in said


def test_refuses_an_unknown_key_and_no_signature(apt: Client, copy: Path, keys: dict[str, Key]) -> None:
    folder = copy / "current" / INDEX
    keys[THEIRS].clearsign(folder / "Release", folder / "InRelease")
    keys[THEIRS].detached(folder / "Release", folder / "Release.gpg")
    apt.serve(copy)
    taken, said = update(apt)
    assert not taken and "NO_PUBKEY" in said

    for name in ("InRelease", "Release.gpg"):
        (folder / name).unlink()
    apt.serve(copy)
    taken, said = update(apt)
    assert not taken and "is not signed" in said


def test_refuses_a_key_that_has_expired(apt: Client, tmp_path: Path, expired: Key) -> None:
    """As the client's copy of the key says."""
    exported = tmp_path / "panicast-archive-keyring.pgp"
    export([expired], exported)
    apt.write({exported.name: exported}, "/usr/share/keyrings")
    taken, said = update(apt)
    assert not taken and "EXPKEYSIG" in said


def test_refuses_an_index_whose_time_is_over(apt: Client, copy: Path) -> None:
    task.run(OURS, DEB, str(copy), URL, now=int(time.time()) - 31 * suites.DAY_SECONDS)
    apt.serve(copy)
    taken, said = update(apt)
    assert not taken and "is expired" in said


def test_keeps_what_it_has_seen_when_an_older_index_is_replayed(apt: Client, copy: Path) -> None:
    assert update(apt)[0]
    seen = apt.run(["sh", "-c", "cat /var/lib/apt/lists/*_InRelease"]).output
    task.run(OURS, DEB, str(copy), URL, now=int(time.time()) - suites.DAY_SECONDS)
    apt.serve(copy)
    update(apt)
    assert apt.run(["sh", "-c", "cat /var/lib/apt/lists/*_InRelease"]).output == seen


def test_a_client_in_the_middle_of_a_publication_ends_with_what_it_began(copy: Path) -> None:
    """What the earlier index names by its hash is there after the next publication, as are its packages."""
    before = (copy / "current").resolve()
    with publish.publishing(copy) as made:
        suites.make(made, get(DEB), publish.Terms(metadata.load(), [], int(time.time()), 1, URL))
    after = (copy / "current").resolve()
    assert after != before
    named = [*(before / INDEX).rglob("by-hash/*/*"), *(before / "deb/pool").rglob("*.deb")]
    assert len(named) > 3
    for path in named:
        assert (copy / path.relative_to(before)).read_bytes() == path.read_bytes()


def test_what_was_published_never_changes(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (copy / "current").resolve()
    made = tmp_path / "dist"
    shutil.copytree(paths.dist_dir(DEB), made / DEB)
    for module in (paths, dist):
        monkeypatch.setattr(module, "DIST", made)
    (deb,) = (made / DEB).glob(f"{PACKAGE}_*.deb")
    deb.write_bytes(deb.read_bytes() + b"\n")
    with pytest.raises(UserError, match=f"dist/{DEB} is not as it was built"):
        task.run("", DEB, str(copy), URL)
    stated = json.loads((made / DEB / dist.METADATA).read_text())
    for built in stated["components"].values():
        built["files"] = [dist.describe(made / DEB / file["file"]) for file in built["files"]]
    (made / DEB / dist.METADATA).write_text(json.dumps(stated))
    with pytest.raises(UserError, match="was published with other bytes"):
        task.run("", DEB, str(copy), URL)
    assert (copy / "current").resolve() == before


def entries(folder: Path) -> list[str]:
    """The packages that bring the archive, the oldest first."""
    return sorted(path.name for path in (folder / "deb/pool/bookworm").glob("panicast-archive-keyring_*.deb"))


def test_a_corrected_address_reaches_who_has_the_archive(apt: Client, copy: Path) -> None:
    """Even where the source entry was edited: that is kept, and has no address."""
    entry = "/etc/apt/sources.list.d/panicast.sources"
    apt.run(["sed", "-i", "s/^Types: deb$/Types: deb deb-src/", entry])
    edited = apt.read(entry)
    moved = "http://127.0.0.1:8000/./"
    task.run(OURS, DEB, str(copy), URL)
    assert len(entries(copy)) == 1
    task.run(OURS, DEB, str(copy), moved)
    assert len(entries(copy)) == 2
    apt.serve(copy)
    assert update(apt)[0]
    # Nobody is there to answer a question.
    apt.run(["apt-get", "upgrade", "-y"])
    assert apt.read(entry) == edited
    assert update(apt)[0]
    assert "GET /./deb/dists/bookworm/InRelease" in apt.read("/srv/log").decode()


def test_a_new_key_takes_over_from_the_old_one(apt: Client, copy: Path, tmp_path: Path) -> None:
    """As docs/release.md says: the old key brings the new one, the new one signs, the old one goes."""
    late = tmp_path / "late"
    task.run(OURS, DEB, str(copy), URL, trust=THEIRS)
    shutil.copytree(copy, late, symlinks=True)
    apt.serve(copy)
    assert update(apt)[0]
    before = apt.read("/usr/share/keyrings/panicast-archive-keyring.pgp")
    apt.run(["apt-get", "upgrade", "-y"])
    both = apt.read("/usr/share/keyrings/panicast-archive-keyring.pgp")
    assert len(both) > len(before)

    task.run(THEIRS, DEB, str(copy), URL, trust=OURS)
    apt.serve(copy)
    taken, said = update(apt)
    assert taken, said

    task.run(THEIRS, DEB, str(copy), URL)
    apt.serve(copy)
    assert update(apt)[0]
    apt.run(["apt-get", "upgrade", "-y"])
    assert len(apt.read("/usr/share/keyrings/panicast-archive-keyring.pgp")) < len(both)
    taken, said = update(apt)
    assert taken, said

    # What the old key signed after that is a stranger's.
    apt.serve(late)
    taken, said = update(apt)
    assert not taken and "NO_PUBKEY" in said
