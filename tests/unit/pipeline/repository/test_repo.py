# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv repo from dist/ to the folder that is served, with stand-ins for the programs that read packages
and for the key."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate, mktime_tz, parsedate_tz
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from panicast_build.build import dist, rpm
from panicast_build.core import paths, tools
from panicast_build.core.errors import UserError
from panicast_build.repository import apt, dnf, entry, index, key, task
from panicast_build.repository.key import Key
from panicast_build.targets import distros, metadata

NOW = 1_700_000_000
BUILT = {
    "debian-12": ("panicast-dkms_1_all.deb", "panicast_1.dsc", "panicast_1.tar.xz", "panicast_1.buildinfo"),
    "debian-12/modules": ("panicast-modules-6.1_1_amd64.deb",),
    "debian-12/archive": ("panicast-archive-keyring_1_all.deb",),
    "el9": ("panicast-dkms-1-1.el9.noarch.rpm", "panicast-1-1.el9.src.rpm", "build.log"),
    "el9/modules": ("kmod-panicast-1-1.el9.x86_64.rpm",),
    "el9/archive": ("panicast-release-1-1.noarch.rpm",),
}


class Signer(Key):
    """A key whose signatures say whose they are."""

    rpms: ClassVar[list[str]] = []

    def _sign(self, how: Sequence[str], path: Path, into: Path) -> None:
        into.write_text(f"{self.fingerprint} {' '.join(how)} {path.name}\n{path.read_text()}")

    def created(self) -> int:
        return NOW

    def sign_rpms(self, paths: Sequence[Path]) -> None:
        for path in paths:
            self.rpms.append(path.name)
            path.write_text(path.read_text() + "signed\n")


def build(top: Path, target: str, names: Sequence[str], contents: str = "") -> None:
    folder = top / target
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(contents or f"{name}\n")
    files = [dist.describe(folder / name) for name in names]
    (folder / dist.METADATA).write_text(json.dumps({"components": {"all": {"files": files}}}))


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """dist/ with packages of two targets; apt-ftparchive and createrepo_c are asked for nothing."""
    folder = tmp_path / "dist"
    for module in (dist, paths):
        monkeypatch.setattr(module, "DIST", folder)
    for target, names in BUILT.items():
        build(folder, target, names)

    def ftparchive(command: str, below: str, top: Path, options: Mapping[str, str] | None = None) -> str:
        found = sorted(path.name for path in (top / below).iterdir() if path.is_file())
        return "".join(
            f"{line}\n"
            for line in (command, below, *found, *(f"{k}={v}" for k, v in (options or {}).items()))
        )

    def repodata(folder: Path, now: int = 0, tags: Sequence[str] = ()) -> None:
        (folder / "repodata").mkdir(exist_ok=True)
        found = sorted(path.name for path in folder.glob("*.rpm"))
        (folder / "repodata/repomd.xml").write_text(f"{now} {found} {tags}")
        (folder / f"repodata/{len(found)}-primary.xml").touch()

    monkeypatch.setattr(index, "ftparchive", ftparchive)
    monkeypatch.setattr(index, "repodata", repodata)
    return folder


@pytest.fixture
def signed(top: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Keys by their names; the keyring packages that are asked for."""
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Signer, "rpms", [])
    monkeypatch.setattr(key, "find", lambda name: Signer(f"secret of {name}"))
    monkeypatch.setattr(key, "find_public", lambda name: Signer(f"public of {name}"))
    monkeypatch.setattr(
        key, "export_text", lambda keys, into: into.write_text(" ".join(one.fingerprint for one in keys))
    )
    monkeypatch.setattr(task.engine, "connect", lambda: "engine")
    monkeypatch.setattr(entry, "build", lambda *what: asked.append(what))
    return asked


def published(out: Path) -> dict[str, Path]:
    """The files of the newest publication."""
    current = (out / "current").resolve()
    return {str(path.relative_to(current)): path for path in current.rglob("*") if path.is_file()}


def test_all_that_was_built_is_published(top: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = task.run(now=NOW, url="https://repo.example.org/")
    assert out == top / "repo"
    found = published(out)
    packages = {
        *("deb/pool/bookworm/panicast-dkms_1_all.deb", "deb/pool/bookworm/panicast_1.dsc"),
        *("deb/pool/bookworm/panicast_1.tar.xz", "deb/pool/bookworm/panicast-modules-6.1_1_amd64.deb"),
        *("rpm/el9/panicast-dkms-1-1.el9.noarch.rpm", "rpm/el9/kmod-panicast-1-1.el9.x86_64.rpm"),
        "rpm/el9/source/panicast-1-1.el9.src.rpm",
    }
    suffixes = (".deb", ".dsc", ".tar.xz", ".rpm", ".buildinfo", ".log")
    # No keyring package where nothing is signed, and nothing but what a package manager reads.
    assert {name for name in found if name.endswith(suffixes)} == packages
    assert all(found[name].read_text() == f"{Path(name).name}\n" for name in packages)
    made = json.loads(found["manifest.json"].read_text())
    assert made["packages"] == {name: dist.sha256(found[name]) for name in packages}
    assert not [name for name in found if name.endswith((".asc", ".gpg", "InRelease"))]
    said = capsys.readouterr().err
    assert "not signed" in said and "serve that folder as https://repo.example.org\n" in said
    # dist/ may be built anew: what was published is no link to it.
    assert all(
        found[name].stat().st_ino != path.stat().st_ino
        for name in packages
        for path in top.rglob(Path(name).name)
        if "repo" not in path.parts
    )


def test_an_apt_index_says_whose_and_how_old_it_is(top: Path) -> None:
    found = published(task.run(now=NOW, names="debian-12", valid_days=3))
    assert not [name for name in found if name.startswith("rpm/")]
    suite, project = "deb/dists/bookworm", metadata.load()
    lines = found[f"{suite}/Release"].read_text().splitlines()
    assert lines[:2] == ["Acquire-By-Hash: yes", f"Valid-Until: {formatdate(NOW + 3 * 86400)}"]
    stated = dict(
        line.removeprefix("APT::FTPArchive::Release::").split("=", 1) for line in lines if "::" in line
    )
    assert mktime_tz(parsedate_tz(stated.pop("Date"))) == NOW
    assert stated == {
        "Origin": project.name,
        "Label": project.name,
        "Suite": "bookworm",
        "Codename": "bookworm",
        "Architectures": "amd64 arm64",
        "Components": "main",
        "Description": project.description,
    }
    assert lines[2:4] == ["release", "dists/bookworm"]
    sources = found[f"{suite}/main/source/Sources"].read_text().splitlines()
    assert sources[:2] == ["sources", "pool/bookworm"] and "panicast_1.dsc" in sources
    for architecture in ("amd64", "arm64"):
        told = found[f"{suite}/main/binary-{architecture}/Packages"].read_text().splitlines()
        assert told[:2] == ["packages", "pool/bookworm"] and "panicast-dkms_1_all.deb" in told
        # What is for all architectures too, and each as it lies there now.
        assert told[-2:] == [
            f"APT::FTPArchive::Architecture={architecture}",
            "APT::FTPArchive::AlwaysStat=true",
        ]
    # Whoever has read this Release may ask for these for a while.
    by_hash = {name for name in found if "/by-hash/" in name}
    assert len(by_hash) == 9 and set(json.loads(found["manifest.json"].read_text())["indexes"]) == by_hash


def test_a_repository_of_rpms_says_where_its_index_is(top: Path) -> None:
    out = task.run(now=NOW, names="el9", url="https://repo.example.org")
    found = published(out)
    name = (out / "current").resolve().name
    for folder in ("rpm/el9", "rpm/el9/source"):
        repomd = found[f"{folder}/repodata/repomd.xml"]
        assert repomd.read_text().startswith(f"{NOW} ")
        link = found[f"{folder}/metalink.xml"].read_text()
        assert f"https://repo.example.org/snapshots/{name}/{folder}/repodata/repomd.xml" in link
        assert dist.sha256(repomd) in link and f"<mm0:timestamp>{NOW}</mm0:timestamp>" in link
    indexes = json.loads(found["manifest.json"].read_text())["indexes"]
    assert indexes == ["rpm/el9/repodata/2-primary.xml", "rpm/el9/source/repodata/1-primary.xml"]


def test_what_is_signed_is_signed_by_the_key_that_was_named(
    top: Path, signed: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    out = task.run("me", now=NOW, into=str(top / "served"), trust="next, last,", url="http://here/")
    found = published(out)
    assert out == top / "served" and "not signed" not in capsys.readouterr().err
    keys = [Signer("secret of me"), Signer("public of next"), Signer("public of last")]
    assert [(what[0], what[2].name, what[3], what[4], what[6]) for what in signed] == [
        ("engine", name, keys, "http://here", NOW) for name in ("debian-12", "el9")
    ]
    assert found[task.PUBLIC_KEY].read_text() == "secret of me public of next public of last"
    suite = "deb/dists/bookworm"
    release = found[f"{suite}/Release"].read_text()
    assert found[f"{suite}/InRelease"].read_text() == f"secret of me --armor --clearsign Release\n{release}"
    assert (
        found[f"{suite}/Release.gpg"].read_text() == f"secret of me --armor --detach-sign Release\n{release}"
    )
    for folder in ("rpm/el9", "rpm/el9/source"):
        assert (
            found[f"{folder}/repodata/repomd.xml.asc"].read_text().startswith("secret of me --armor --detach")
        )
    rpms = {Path(name).name for name in found if name.endswith(".rpm")}
    assert set(Signer.rpms) == rpms == {name for names in BUILT.values() for name in names if ".rpm" in name}
    assert {Path(name).name for name in found if name.endswith(".deb")} == {
        name for names in BUILT.values() for name in names if ".deb" in name
    }
    # What is stated of a package is what was built; signing changes it afterwards.
    stated = json.loads(found["manifest.json"].read_text())["packages"]
    rpm = "rpm/el9/kmod-panicast-1-1.el9.x86_64.rpm"
    assert found[rpm].read_text().endswith("signed\n") and stated[rpm] != dist.sha256(found[rpm])


def test_a_keyring_package_that_was_published_is_not_published_again(
    top: Path, signed: list[tuple[Any, ...]]
) -> None:
    task.run("me", now=NOW)
    # Built anew elsewhere, of the same contents: its version says so, whatever its bytes.
    for target in ("debian-12/archive", "el9/archive"):
        names = BUILT[target]
        build(top, target, names, "other bytes\n")
    Signer.rpms.clear()
    found = published(task.run("me", now=NOW + 1))
    assert Signer.rpms == []
    assert (
        found["deb/pool/bookworm/panicast-archive-keyring_1_all.deb"].read_text()
        == BUILT["debian-12/archive"][0] + "\n"
    )


def test_a_target_that_is_not_named_keeps_its_packages_and_gets_new_indexes(top: Path) -> None:
    first = task.run(now=NOW)
    found = published(task.run(now=NOW + 1, names="debian-12"))
    assert "rpm/el9/kmod-panicast-1-1.el9.x86_64.rpm" in found
    assert found["rpm/el9/repodata/repomd.xml"].read_text().startswith(f"{NOW + 1} ")
    name = (first / "current").resolve().name
    assert f"/snapshots/{name}/" in found["rpm/el9/metalink.xml"].read_text()


def test_without_a_time_it_is_now(top: Path) -> None:
    before = int(time.time())
    found = published(task.run(names="el9"))
    told = int(found["rpm/el9/repodata/repomd.xml"].read_text().split()[0])
    assert before <= told <= time.time()
    # And it will be served where the project says.
    assert f"{metadata.load().archive.rstrip('/')}/snapshots/" in found["rpm/el9/metalink.xml"].read_text()


def test_a_kernel_is_published_where_a_machine_must_ask_for_it(top: Path) -> None:
    for target, names in {
        "debian-12/kernel": (
            *("linux-image-6.1-panicast_1_amd64.deb", "linux-panicast_1.dsc", "linux-panicast_1.changes"),
            "linux-libc-dev_1_amd64.deb",
        ),
        "el9/kernel": (
            *("kernel-panicast-core-5.14-1.x86_64.rpm", "kernel-panicast-5.14-1.src.rpm"),
            *("kernel-headers-5.14-1.x86_64.rpm", "perf-5.14-1.panicast.x86_64.rpm"),
        ),
    }.items():
        build(top, target, names)
        stated = json.loads((top / target / dist.METADATA).read_text())
        stated["components"] = {"distro": stated["components"]["all"]}
        (top / target / dist.METADATA).write_text(json.dumps(stated))
    found = published(task.run(now=NOW, kernel_names="debian-12,el9"))
    assert {name for name in found if name.endswith((".deb", ".dsc", ".rpm")) and "/kernel/" in name} == {
        "deb/pool/kernel/bookworm/linux-image-6.1-panicast_1_amd64.deb",
        "deb/pool/kernel/bookworm/linux-panicast_1.dsc",
        "rpm/el9/kernel/kernel-panicast-core-5.14-1.x86_64.rpm",
        "rpm/el9/kernel/source/kernel-panicast-5.14-1.src.rpm",
    }
    release = found["deb/dists/bookworm/Release"].read_text()
    assert "APT::FTPArchive::Release::Components=main kernel\n" in release
    told = found["deb/dists/bookworm/kernel/binary-amd64/Packages"].read_text().splitlines()
    assert told[1] == "pool/kernel/bookworm" and "linux-image-6.1-panicast_1_amd64.deb" in told
    assert "rpm/el9/kernel/metalink.xml" in found and "rpm/el9/kernel/source/metalink.xml" in found
    # Only where its target is published, too.
    for names in (
        {"names": "debian-12", "kernel_names": "el9"},
        {"names": "debian-12", "kernel_names": "debian-12,el9"},
    ):
        with pytest.raises(UserError, match=r"kernel of el9 is named in --kernels") as refused:
            task.run(now=NOW, **names)
        assert refused.value.hint == "name it in --distro too, or run: ./inv package --distro el9"


def test_what_is_not_there_is_not_published(top: Path) -> None:
    with pytest.raises(UserError, match=r"nothing was built for ubuntu-24\.04") as refused:
        task.run(names="debian-12,ubuntu-24.04")
    assert refused.value.hint == "run: ./inv package --distro ubuntu-24.04"
    for target in ("debian-12", "el9"):
        (top / target / dist.METADATA).unlink()
    with pytest.raises(UserError, match="nothing was built yet"):
        task.run()
    assert not (top / "repo").exists()


@pytest.mark.parametrize(
    ("target", "again"),
    {
        "debian-12": "package --distro debian-12",
        "el9/modules": "modules --distro el9",
        "debian-12/kernel": "kernel --distro debian-12 --config distro",
    }.items(),
)
def test_what_has_changed_since_it_was_built_is_not_published(target: str, again: str, top: Path) -> None:
    build(top, "debian-12/kernel", ("linux-image-6.1-panicast_1_amd64.deb", "linux-panicast_6.1.dsc"))
    stated = top / "debian-12/kernel" / dist.METADATA
    stated.write_text(stated.read_text().replace('"all"', '"distro"'))
    kernels = {"kernel_names": "debian-12"}
    task.run(now=NOW, **kernels)
    first = json.loads((top / target / dist.METADATA).read_text())["components"].popitem()[1]["files"][0]
    path = top / target / first["file"]
    path.write_text(path.read_text().upper())
    with pytest.raises(UserError, match=f"dist/{target} is not as it was built") as refused:
        task.run(now=NOW + 1, **kernels)
    assert refused.value.hint == f"build it again: ./inv {again}"
    path.unlink()
    with pytest.raises(UserError, match=f"dist/{target} is not as it was built"):
        task.run(now=NOW + 1, **kernels)


def test_a_module_for_debians_kernel_is_not_published_for_another_distribution(top: Path) -> None:
    stated = top / "el9/modules" / dist.METADATA
    made = json.loads(stated.read_text())
    made["components"]["all"]["inputs"] = {"host": rpm.DEBIAN}
    stated.write_text(json.dumps(made))
    with pytest.raises(UserError, match="has the module for Debian's kernel, which el9 does not have"):
        task.run(now=NOW)
    assert not (top / "repo/current").exists()


def test_keys_are_trusted_only_beside_one_that_signs(top: Path, signed: list[tuple[Any, ...]]) -> None:
    with pytest.raises(UserError, match="--trust names keys, but nothing is signed"):
        task.run(trust="next")


Called = Callable[[], list[str]]


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Called:
    """A program that stands for every other and says what it was asked, and where."""
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho said\nprintf "%s\\n" "$PWD" "$@" >{tmp_path}/asked\n')
    program.chmod(0o755)
    needed: list[str] = []
    monkeypatch.setattr(tools, "need", needed.append)
    monkeypatch.setattr(tools, "find", lambda name: str(program) if name in needed else None)

    def asked() -> list[str]:
        return [*needed, *(tmp_path / "asked").read_text().splitlines()]

    return asked


def test_apts_index_has_one_hash_and_paths_from_the_top(tmp_path: Path, called: Called) -> None:
    folder = tmp_path / "top"
    folder.mkdir()
    assert index.ftparchive("sources", "pool/x", folder, {"APT::Some": "thing"}) == "said\n"
    name, where, *words = called()
    assert (name, where) == ("apt-ftparchive", str(folder))
    assert words[:1] == ["-qq"] and words[-2:] == ["sources", "pool/x"]
    options = [word for word in words[1:-2] if word != "-o"]
    assert words[1:-2] == [word for option in options for word in ("-o", option)]
    assert {
        "APT::Some=thing",
        *(f"APT::FTPArchive::{name}=false" for name in ("MD5", "SHA1", "SHA512")),
    } == set(options)
    assert index.packages(folder) == "said\n" and called()[-2:] == ["packages", "."]
    index.packages(folder, "below")
    assert called()[-2:] == ["packages", "below"]


def test_dnfs_index_is_of_a_folder_alone_and_its_time_is_given(tmp_path: Path, called: Called) -> None:
    index.repodata(tmp_path / "folder", 1234, ["gpg-pubkey-1.asc?fpr=2", "more"])
    name, _, *words = called()
    assert name == "createrepo_c" and words[-1] == str(tmp_path / "folder")
    text = " ".join(words)
    assert "--excludes */*" in text and "--revision 1234 --set-timestamp-to-revision" in text
    assert "--content=gpg-pubkey-1.asc?fpr=2 --content=more" in text


KEYRING = ("panicast-archive-keyring.pgp", "panicast.sources", "mirrors")


class Known(Key):
    """A key that was changed once."""

    def changed(self) -> int:
        return 1000


@pytest.mark.parametrize(
    ("name", "package", "files"),
    [
        (
            "debian-12",
            "panicast-archive-keyring",
            ("panicast-archive-keyring.pgp", "panicast.sources", "mirrors"),
        ),
        ("el9", "panicast-release", ("RPM-GPG-KEY-panicast", "panicast.repo", "panicast_archive")),
    ],
)
def test_a_machine_gets_the_keys_and_where_to_look(
    name: str, package: str, files: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(keys: Sequence[Key], into: Path) -> None:
        into.write_text(" ".join(key.fingerprint for key in keys))

    monkeypatch.setattr(
        entry, "FILES", {family: row._replace(export=export) for family, row in entry.FILES.items()}
    )
    monkeypatch.setattr(paths, "DIST", tmp_path)
    monkeypatch.setattr(dist, "DIST", tmp_path)
    filled: list[Any] = []
    monkeypatch.setattr(
        entry.package, "builder", lambda order, distro: SimpleNamespace(order=order, distro=distro)
    )
    monkeypatch.setattr(entry.assemble, "fill", lambda *what: filled.append(what))
    distro, project = distros.get(name), metadata.load()
    made = task.Snapshot(tmp_path, "now")

    def build(keys: Sequence[Key], now: int) -> Any:
        client: Any = "engine"
        assert (
            entry.build(client, project, distro, keys, "http://here", made, now)
            == tmp_path / name / "archive"
        )
        return filled.pop()

    keys = [Known("FIRST"), Known("SECOND")]
    target, versioned, builders, titles = build(keys, 5000)
    builder = builders["archive"]
    order = builder.order
    assert (target, titles, builder.distro) == (
        f"{name}/archive",
        {"archive": f"{package} for {name}"},
        distro,
    )
    assert order.client == "engine" and order.component.package == package and order.project == versioned
    key_file, where, address = files
    assert set(order.sources) == set(files) and order.sources[key_file] == b"FIRST SECOND"
    text = order.sources[where].decode()
    assert key_file in text and address in text and "http://here" not in text
    # Whoever edits the entry still gets a corrected address.
    assert order.sources[address] in (b"http://here/deb/\n", b"here\n")
    # The first one's version is when its key was changed, however often it is published.
    assert (versioned.version, order.epoch) == ("19700101.001640", 1000)
    assert build(keys, 6000)[1].version == "19700101.001640"
    assert build(keys[:1], 7000)[1].version == "19700101.015640"
    # A clock that goes back makes no older version.
    assert build(keys, 6500)[1].version == "19700101.015641"
    assert made.entries[name][1] == 7001


def test_the_kernels_place_is_another(tmp_path: Path) -> None:
    deb, rpm = distros.get("debian-12"), distros.get("el9")
    assert apt.place(deb, "x.deb", False) == "deb/pool/bookworm"
    assert apt.place(deb, "x.deb", True) == "deb/pool/kernel/bookworm"
    assert dnf.place(rpm, "x.rpm", False) == "rpm/el9"
    assert dnf.place(rpm, "x.rpm", True) == "rpm/el9/kernel"
    assert dnf.place(rpm, "x.src.rpm", False) == "rpm/el9/source"
    assert dnf.place(rpm, "x.src.rpm", True) == "rpm/el9/kernel/source"
