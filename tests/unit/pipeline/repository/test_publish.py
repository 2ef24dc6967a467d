# SPDX-License-Identifier: GPL-2.0-or-later
"""A publication is seen whole or not at all, and what an earlier one names stays for a while."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import lzma
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

from panicast_build.repository import apt, dnf, entry, publish, task
from panicast_build.repository.key import Key
from panicast_build.targets import distros, metadata


def put(out: Path, text: str) -> Path:
    with publish.publishing(out) as made:
        (made.folder / "deb").mkdir(exist_ok=True)
        (made.folder / "deb/Release").write_text(text)
        (made.folder / f"deb/hash-of-{text}").write_text(text)
        made.indexes.append(f"deb/hash-of-{text}")
        (made.folder / f"deb/{text}.deb").write_text(text)
        made.packages[f"deb/{text}.deb"] = text
    return out / "snapshots" / made.name


def test_packages_stay_and_indexes_for_a_while(tmp_path: Path) -> None:
    first = put(tmp_path, "0")
    assert (tmp_path / "current").resolve() == first
    for number in range(1, publish.KEEP + 1):
        put(tmp_path, str(number))
    current = tmp_path / "deb"
    assert (current / "Release").read_text() == str(publish.KEEP)
    assert (current / "0.deb").read_text() == "0" and (current / "hash-of-0").read_text() == "0"
    assert len(publish.published(tmp_path)) == publish.KEEP and not first.exists()
    put(tmp_path, "last")
    assert (current / "0.deb").exists() and not (current / "hash-of-0").exists()


def test_one_that_fails_changes_nothing(tmp_path: Path) -> None:
    first = put(tmp_path, "0")
    with pytest.raises(RuntimeError), publish.publishing(tmp_path) as made:
        (made.folder / "deb/half").touch()
        raise RuntimeError
    assert (tmp_path / "current").resolve() == first and not (tmp_path / "deb/half").exists()
    second = put(tmp_path, "1")
    # What the failed one left is gone.
    assert sorted((tmp_path / "snapshots").iterdir()) == [first, second]


def test_a_folder_without_a_manifest_was_not_published(tmp_path: Path) -> None:
    first = put(tmp_path, "0")
    (tmp_path / "snapshots/20991231T000000000000Z").mkdir()
    assert publish.published(tmp_path) == [first]
    second = put(tmp_path, "1")
    assert (tmp_path / "current").resolve() == second and (tmp_path / "deb/0.deb").exists()


def test_whoever_looks_meanwhile_sees_a_whole_publication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "0")
    seen, link = [], Path.symlink_to

    def look_and_link(path: Path, *target: str) -> None:
        seen.append((tmp_path / "deb/Release").exists())
        link(path, *target)

    monkeypatch.setattr(Path, "symlink_to", look_and_link)
    put(tmp_path, "1")
    assert len(seen) > 1 and all(seen)


def test_a_keyring_package_is_newer_than_the_last_one_whatever_the_clock_says() -> None:
    assert entry._version(None, "a", changed=5, now=100) == 5
    assert entry._version(("a", 50), "a", changed=5, now=100) == 50
    assert entry._version(("a", 50), "b", changed=5, now=100) == 100
    assert entry._version(("a", 500), "b", changed=5, now=100) == 501


def test_what_upgrades_strangers_machines_is_withdrawn(tmp_path: Path) -> None:
    """Earlier versions published kernels and headers beside the module, and RPMs under the
    distribution's names."""
    gone = [
        "deb/pool/bookworm/linux-libc-dev_6.1_amd64.deb",
        "rpm/el9/kernel-headers-5.14.rpm",
        "rpm/el9/kernel/kernel-core-5.14.0-1.panicast.el9.x86_64.rpm",
    ]
    kept = [
        "deb/pool/bookworm/panicast-dkms_1_all.deb",
        "rpm/el9/kmod-panicast-1.rpm",
        "deb/pool/kernel/bookworm/linux-image-6.1-panicast_6.1_amd64.deb",
        "rpm/el9/kernel/kernel-panicast-core-5.14.0-1.panicast.el9.x86_64.rpm",
    ]
    made = publish.Snapshot(tmp_path, "now", dict.fromkeys([*gone, *kept], "0"))
    for place in made.packages:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    task._withdraw(made, metadata.load())
    assert list(made.packages) == kept
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == sorted(kept)


def test_a_published_package_is_not_signed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes would change, and with them what the last index says of it."""
    signed: list[list[str]] = []

    class Signer(Key):
        def sign_rpms(self, paths: Sequence[Path]) -> None:
            signed.append([path.name for path in paths])

    for name in ("panicast-1.rpm", "panicast-2.rpm"):
        path = tmp_path / name
        path.write_text(name)
        found = [tmp_path / "panicast-1.rpm", path]
        monkeypatch.setattr(task, "_built", lambda *_, found=found: dict.fromkeys(found))
        with publish.publishing(tmp_path / "repo") as made:
            task._take(made, distros.get("el9"), Signer("F"), with_kernel=False)
    assert signed == [["panicast-1.rpm"], ["panicast-2.rpm"]]


def test_each_form_of_an_index_is_found_by_its_hash_too(tmp_path: Path) -> None:
    path = tmp_path / "dists/suite/main/binary-amd64/Packages"
    apt._index(path, "Package: panicast-dkms\n")
    found = {form.name: form.read_bytes() for form in (path.parent / "by-hash/SHA256").iterdir()}
    forms = [path, path.with_name("Packages.gz"), path.with_name("Packages.xz")]
    assert found == {hashlib.sha256(form.read_bytes()).hexdigest(): form.read_bytes() for form in forms}
    # The same packages have the same index, whenever it is made.
    assert forms[1].read_bytes()[4:8] == bytes(4)
    assert (
        gzip.decompress(forms[1].read_bytes()) == lzma.decompress(forms[2].read_bytes()) == path.read_bytes()
    )


def test_a_metalink_says_what_the_index_beside_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, distro = b"<repomd/>", distros.get("el9")
    folder = tmp_path / dnf.place(distro, "", kernel=False)
    (folder / "repodata").mkdir(parents=True)
    (folder / "repodata/repomd.xml").write_bytes(index)
    monkeypatch.setattr(dnf.index, "repodata", lambda *_: None)
    made = publish.Snapshot(tmp_path, "now")
    address = "https://repo.example.org/get?token=a&of=<b>&folder="
    dnf.make(made, distro, publish.Terms(metadata.load(), [], 1_600_000_000, 30, address))
    said = (folder / "metalink.xml").read_text()
    assert hashlib.sha256(index).hexdigest() in said and f"<size>{len(index)}</size>" in said
    # What XML has a meaning of its own for is in the address all the same.
    place = dnf.place(distro, "", kernel=False)
    (url,) = (each.text for each in ElementTree.fromstring(said).iter() if each.tag.endswith("}url"))
    assert url == f"{address}/snapshots/now/{place}/repodata/repomd.xml"


def test_two_publications_do_not_mix(tmp_path: Path) -> None:
    with publish.publishing(tmp_path), (tmp_path / ".lock").open("w") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_link_is_never_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "0")
    seen, replace = [], Path.replace

    def look() -> None:
        seen.append((tmp_path / "deb/Release").exists() and (tmp_path / "current").exists())

    def look_and_replace(path: Path, target: Path) -> None:
        look()
        replace(path, target)
        # It leads to what is there already, not to what comes next.
        look()

    monkeypatch.setattr(Path, "replace", look_and_replace)
    put(tmp_path, "1")
    assert len(seen) > 2 and all(seen)


def test_a_package_of_other_files_is_another_package() -> None:
    distro = distros.get("debian-12")
    contents = [
        {"a": b"xy", "b": b""},
        {"a": b"x", "b": b"y"},
        {"a": b"xy", "c": b""},
        {"a": b"xyb 0\n", "b": b""},
    ]
    made = [entry._content(dict(one), distro) for one in contents]
    assert len(set(made)) == len(made)
    assert entry._content(dict(reversed(contents[0].items())), distro) == made[0]


@pytest.mark.parametrize("name", ["debian-12", "el9"])
def test_a_package_of_another_template_is_another_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distro = distros.get(name)
    template = (
        tmp_path / "packaging/templates" / distro.family / entry.COMPONENTS[distro.family].package / "rules"
    )
    template.parent.mkdir(parents=True)
    monkeypatch.setattr(entry, "ROOT", tmp_path)
    made = set()
    for text in ("one", "two"):
        template.write_text(text)
        made.add(entry._content({"a": b"x"}, distro))
    assert len(made) == 2
