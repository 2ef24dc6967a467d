# SPDX-License-Identifier: GPL-2.0-or-later
"""Archives, rendered packaging, the dist folder, the lock: what ends up in files."""

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from panicast_build.build import deb, dist
from panicast_build.core import archive, files
from panicast_build.core.paths import ROOT
from panicast_build.targets import changelog, distros, metadata


def test_tar_depends_on_names_modes_and_contents_alone(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    tars = []
    for contents in ({"b": script, "a": b"text"}, {"a": b"text", "b": script}):
        tars.append(io.BytesIO())
        archive.write_tar(tars[-1], contents, mtime=7, prefix="top/")
        script.touch()
    assert tars[0].getvalue() == tars[1].getvalue()
    tars[0].seek(0)
    with tarfile.open(fileobj=tars[0]) as tar:
        members = tar.getmembers()
    assert [(m.name, m.mode, m.mtime, m.uid) for m in members] == [
        ("top/a", 0o644, 7, 0),
        ("top/b", 0o755, 7, 0),
    ]


def test_tar_keeps_long_names_and_who_may_run_a_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    contents = {"f" * 150: 0o700, "sub/theirs": 0o611, "ours": 0o755}
    for name, mode in contents.items():
        (tmp_path / name).write_text("text")
        (tmp_path / name).chmod(mode)
    out = io.BytesIO()
    made = {"script": b"#!/bin/sh\n", "text": b"text #!\n"}
    archive.write_tar(out, {**archive.read_tree(tmp_path), **made})
    # What old tools read, too: no header but GNU's own for long names.
    assert b"PaxHeader" not in out.getvalue()
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        found = {member.name: member.mode for member in tar}
        assert {name: tar.extractfile(name).read() for name in made} == made  # type: ignore[union-attr]
        assert {member.mtime for member in tar} == {0}
    assert list(found) == sorted(found)
    runs = {name for name, mode in found.items() if mode == 0o755}
    assert runs == {"f" * 150, "ours", "script"} and set(found) - runs == {"sub/theirs", "text"}


@pytest.mark.parametrize("component", metadata.of_family("deb"), ids=lambda c: c.name)
def test_rendered_packaging(component: metadata.Component) -> None:
    project, distro = metadata.load(), distros.load()["debian-12"]
    rendered = deb.render(project, component, distro, epoch=0)
    first = rendered["changelog"].decode().splitlines()[0]
    assert first == f"{component.package} ({project.version}-1~deb12) bookworm; urgency=medium"
    # The epoch, until a release dates it.
    day = changelog.parse(changelog.PATH.read_text())[0].time(0)
    assert f"{day:%a, %d %b %Y} 00:00:00 ".encode() in rendered["changelog"]
    assert f"Source: {component.package}\n".encode() in rendered["control"]
    assert not [name for name, text in rendered.items() if b"{{" in text or b"{%" in text]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(dist, "DIST", tmp_path)
    monkeypatch.setattr(dist, "dist_dir", lambda name: tmp_path / name)
    return tmp_path


def test_failed_filling_leaves_the_old_folder(folders: Path) -> None:
    with dist.staged("d") as folder:
        (folder / "one").write_text("1")
    with pytest.raises(ZeroDivisionError), dist.staged("d") as folder:
        (folder / "two").write_text("2")
        raise ZeroDivisionError
    assert [str(path.relative_to(folders)) for path in folders.rglob("*")] == ["d", "d/one"]


def test_a_cached_folder_is_filled_once_and_replaces_its_own_name_only(tmp_path: Path) -> None:
    def fill(part: Path) -> None:
        (part / "full").touch()

    def fail(part: Path) -> None:
        fill(part)
        raise ZeroDivisionError

    tmp_path = tmp_path / "of/a/cache"
    for name in ("6.1-old", "6.1-arm64-old"):
        assert files.cached(tmp_path / name, fill) == tmp_path / name
    files.cached(tmp_path / "6.1-old", fail)
    with pytest.raises(ZeroDivisionError):
        files.cached(tmp_path / "6.1-new", fail)
    assert {path.name for path in tmp_path.iterdir()} == {"6.1-old", "6.1-arm64-old"}
    files.cached(tmp_path / "6.1-new", fill)
    assert {path.name for path in tmp_path.iterdir()} == {"6.1-new", "6.1-arm64-old"}
    assert (tmp_path / "6.1-new" / "full").exists()


def test_a_cached_folder_that_another_process_uses_is_left_to_it(tmp_path: Path) -> None:
    using = (
        "import sys; from pathlib import Path; from panicast_build.core import files; "
        "files.cached(Path(sys.argv[1]), lambda part: None); print(flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", using, str(tmp_path / "6.1-old")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline()
        files.cached(tmp_path / "6.1-new", lambda part: None)
        assert {path.name for path in tmp_path.iterdir()} == {"6.1-old", "6.1-new"}
        other.communicate()
    files.cached(tmp_path / "6.1-newer", lambda part: None)
    assert {path.name for path in tmp_path.iterdir()} == {"6.1-newer"}


def test_evidence_says_what_is_there(folders: Path) -> None:
    with dist.staged("d") as folder:
        (folder / "one").write_text("1")
        built = {"files": [dist.describe(folder / "one")]}
        dist.finish(folder, {"components": {"c": built}})
    assert dist.read("d")["components"]["c"] == built
    sums = (folders / "d" / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in sums] == ["metadata.json", "one"]
    assert dist.intact("d", built)
    (folders / "d" / "one").write_text("2")
    assert not dist.intact("d", built)


@pytest.mark.parametrize("text", ["", "{", json.dumps([])])
def test_unreadable_evidence_is_none(folders: Path, text: str) -> None:
    assert dist.read("d") == {}
    (folders / "d").mkdir()
    (folders / "d" / "metadata.json").write_text(text)
    assert dist.read("d") == {}


def test_lock_is_pinned_and_hashed_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    for block in re.split(r"\n(?=\S)", lock):
        if not block.startswith("#"):
            assert re.match(r"[a-z0-9-]+==\S+ .*\\\n    --hash=sha256:[0-9a-f]{64}", block), block[:80]
    lines = (ROOT / "requirements.in").read_text().splitlines()
    wanted = [re.split(r"[=;[]", line)[0] for line in lines if not line.startswith("#")]
    assert wanted and [name for name in wanted if f"\n{name}==" not in lock] == []
