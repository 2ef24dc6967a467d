# SPDX-License-Identifier: GPL-2.0-or-later
"""What is built, published and released is whole, is what it says, and is of this tree alone."""

from __future__ import annotations

import gzip
import io
import json
import os
import pwd
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from email.utils import mktime_tz, parsedate_tz
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import pytest

from panicast_build.build import assemble, deb, dist, pins, rpm, signing, source
from panicast_build.build.order import Order
from panicast_build.core import files, paths
from panicast_build.core.errors import UserError
from panicast_build.core.run import Result
from panicast_build.engine.container import Container
from panicast_build.release import steps
from panicast_build.release import task as release_task
from panicast_build.repository import apt, index, publish
from panicast_build.repository import task as repository_task
from panicast_build.targets import distros, metadata

from ...waiting import PATIENCE_S

EPOCH = 1_600_000_000


def test_a_file_is_never_seen_half_written(tmp_path: Path) -> None:
    path, reader = tmp_path / "file", tmp_path / "reader"
    files.write(path, "old")
    # Who has opened the old one, here by another name, goes on reading that.
    os.link(path, reader)
    files.write(path, "new")
    assert (path.read_text(), reader.read_text()) == ("new", "old")
    with pytest.raises(UnicodeEncodeError):
        files.write(path, "half \udcff")
    assert path.read_text() == "new"


def test_one_at_a_time_holds_a_lock(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with files.locked(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    with files.locked(tmp_path / "lock"):
        thread.start()
        # Long enough for one that does not wait.
        thread.join(0.3)
        order.append("first")
    thread.join(PATIENCE_S)
    assert order == ["first", "second"]


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """dist/, empty."""
    for module in (dist, paths):
        monkeypatch.setattr(module, "DIST", tmp_path / "dist")
    monkeypatch.setattr(assemble, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(source, "commit", lambda: {"commit": "c0ffee", "dirty": False})
    return tmp_path / "dist"


class Builder:
    """Builds one file of what it was given."""

    def __init__(self, text: str) -> None:
        self.text, self.runs = text, 0

    def inputs(self) -> dict[str, object]:
        return {"packaging": self.text}

    def run(self, into: Path, log: TextIO) -> None:
        self.runs += 1
        (into / "one.deb").write_text(self.text)


def fill(builder: Builder, name: str = "debian-12") -> int:
    before = builder.runs
    assemble.fill(name, metadata.load(), {"kmod": builder}, {"kmod": "it"})
    return builder.runs - before


def test_what_has_changed_is_built_again_and_nothing_else(top: Path) -> None:
    builder = Builder("a")
    assert fill(builder) == 1 and fill(builder) == 0
    builder.text = "b"
    assert fill(builder) == 1 and (top / "debian-12/one.deb").read_text() == "b"
    (top / "debian-12/one.deb").write_text("c")
    assert fill(builder) == 1 and fill(builder) == 0


Make = Callable[[bytes], Any]


@pytest.fixture(params=["debian-12", "el9"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes the build of a source, without an engine."""
    distro = distros.get(request.param)
    component = metadata.of_family(distro.family)[0]
    monkeypatch.setattr(deb, "image", lambda *_: "image")
    monkeypatch.setattr(rpm, "host", lambda *_: rpm.REAL)
    monkeypatch.setattr(rpm, "host_image", lambda *_: "image")
    monkeypatch.setattr(pins, "of", lambda *_: {})
    family = {"deb": deb, "rpm": rpm}[distro.family]

    def make(text: bytes) -> Any:
        client: Any = None
        order = Order(client, metadata.load(), component, sources={"a": text}, epoch=EPOCH)
        return family.Build(order, distro)

    return make


def test_a_changed_packaging_or_source_is_another_build(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make(b"x").inputs()
    assert make(b"x").inputs() == before != make(b"y").inputs()
    for family in (deb, rpm):
        render = family.render

        def changed(*arguments: Any, render: Any = render) -> dict[str, bytes]:
            return {**render(*arguments), "added": b"a line"}

        monkeypatch.setattr(family, "render", changed)
    assert make(b"x").inputs() != before


def archives(build: Any) -> Iterator[bytes]:
    """The source archives of a build, unpacked to tar."""
    if isinstance(build, deb.Build):
        yield build._orig.getvalue()
    else:
        for name, data in build._files.items():
            if name.endswith(".tar.gz"):
                # Four bytes of gzip's header are a time, too.
                assert data[4:8] == bytes(4)
                yield gzip.decompress(data)


def test_a_source_archive_does_not_tell_when_it_was_made(make: Make) -> None:
    found = list(archives(make(b"x")))
    assert found
    for data in found:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            assert {member.mtime for member in tar} == {EPOCH}


def take(out: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_task, "_built", lambda *_: [path])
    with publish.publishing(out) as made:
        repository_task._take(made, distros.get("debian-12"), None, with_kernel=False)


def test_what_is_published_keeps_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = tmp_path / "panicast_1_all.deb", tmp_path / "repo"
    path.write_text("first")
    take(out, path, monkeypatch)
    take(out, path, monkeypatch)
    path.write_text("other")
    with pytest.raises(UserError, match="other bytes"):
        take(out, path, monkeypatch)
    (published,) = (out / "current/").resolve().rglob("*.deb")
    assert published.read_text() == "first" and len(publish.published(out)) == 2


def test_an_index_is_good_for_the_days_that_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "ftparchive", lambda *_: "")
    distro = distros.get("debian-12")
    made = publish.Snapshot(tmp_path, "now")
    suite = tmp_path / apt.TOP / "dists" / distro.suite
    suite.mkdir(parents=True)
    for days in (apt.VALID_DAYS, 3):
        apt.make(made, distro, publish.Terms(metadata.load(), [], EPOCH, days, "http://here"))
        fields = dict(line.split(": ", 1) for line in (suite / "Release").read_text().splitlines())
        good = mktime_tz(parsedate_tz(fields["Valid-Until"])) - EPOCH
        assert good == days * 24 * 60 * 60
    assert apt.VALID_DAYS == 30


def test_versions_are_ordered_by_their_numbers() -> None:
    versions = ["0.9.9", "1.2.10", "1.9.0", "1.10.0", "1.10.2", "2.0.0", "10.0.0"]
    assert sorted(reversed(versions), key=release_task._numbers) == versions


def test_no_step_but_those_that_sign_is_led_to_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leads = ("SSH_AUTH_SOCK", "GPG_AGENT_INFO", "GPG_TTY", "GNUPGHOME", "HOME")
    leads += ("PANICAST_MODULE_KEY", "KBUILD_SIGN_PIN")
    for name in leads:
        monkeypatch.setenv(name, "/home/me/keys")
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    (tmp_path / "tasks.py").write_text(
        "import os\nfrom invoke import task\n"
        "@task\ndef show(_):\n    print([n for n in os.environ if os.environ[n] == '/home/me/keys'])\n"
    )
    with (tmp_path / "log").open("w") as log:
        steps.inv(log, "show")
        log.flush()
        assert (tmp_path / "log").read_text().splitlines()[-1] == "[]"
        steps.inv(log, "show", given=("PANICAST_MODULE_KEY",))
    assert (tmp_path / "log").read_text().splitlines()[-1] == "['PANICAST_MODULE_KEY']"
    assert {step.name for step in steps.STEPS if step.secrets} == {"modules", "sign", "tag"}


def test_no_test_is_led_to_a_key_of_the_user() -> None:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    shown = "import os, pathlib; print(pathlib.Path.home(), *os.environ, sep='\\n')"
    said = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    theirs, *names = said.stdout.splitlines()
    assert Path(theirs) == Path.home() != home
    assert not set(steps.SECRETS).intersection(names)
    assert os.environ["PANICAST_CACHE"] == str(paths.CACHE)


def test_a_container_may_do_little() -> None:
    asked: dict[str, Any] = {}
    client: Any = SimpleNamespace(
        containers=SimpleNamespace(create=lambda *_, **options: asked.update(options))
    )
    Container(client, "image")
    assert asked["network_mode"] == "none" and asked["cap_drop"] == ["ALL"]
    assert not {"SYS_ADMIN", "NET_ADMIN", "NET_RAW", "MKNOD", "ALL"} & set(asked["cap_add"])
    assert asked["security_opt"] == ["no-new-privileges"] and 0 < asked["pids_limit"] <= 8192


def test_a_container_that_cannot_be_started_is_removed() -> None:
    removed: list[bool] = []

    def start() -> None:
        raise UserError("no room")

    made = SimpleNamespace(start=start, remove=lambda force: removed.append(force))
    client: Any = SimpleNamespace(containers=SimpleNamespace(create=lambda *_, **__: made))
    with pytest.raises(UserError, match="no room"), Container(client, "image"):
        pass
    assert removed == [True]


def test_a_passphrase_is_in_no_list_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    parts = {"PRIVATE KEY": "ENCRYPTED", "CERTIFICATE": "AAAA"}
    path = tmp_path / "key.pem"
    path.write_text(
        "".join(f"-----BEGIN {one}-----\n{body}\n-----END {one}-----\n" for one, body in parts.items())
    )
    monkeypatch.setenv(signing.PIN, "correct horse")
    monkeypatch.setattr(signing.tools, "need", lambda *_: None)

    def run(argv: list[str], **_: object) -> Result:
        ran.extend(argv)
        return Result(0, "a key without one")

    monkeypatch.setattr(signing, "run", run)
    found = signing.load(str(path))
    assert found and b"a key without one" in found.pem and b"ENCRYPTED" not in found.pem
    assert ran and not any("horse" in word for word in ran)


def test_a_key_in_a_container_is_its_users_alone(tmp_path: Path) -> None:
    path, pem = tmp_path / "key", b"a key"
    argv = ["sh", "-c", f"umask 0; {signing.WRITE}", path, str(len(pem)), str(os.getuid())]
    subprocess.run(argv, input=pem + b"what comes after it", check=True)
    assert path.read_bytes() == pem and path.stat().st_mode & 0o777 == 0o600


def container(*names: str) -> Any:
    """A container whose archive of /x has files with these names."""
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"data"))
    box: Any = Container.__new__(Container)
    box._archive = lambda _: [spool.getvalue()]
    return box


def test_a_container_writes_nowhere_but_where_it_may(tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    container("x/good", "x/sub/good").get("/x", into)
    assert (into / "sub/good").read_bytes() == b"data"
    for name in ("x/../evil", "x/sub/../../evil", f"x/{tmp_path}/evil", "x/../into-not/evil"):
        with pytest.raises(UserError, match="leads out"):
            container(name).get("/x", into)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["good", "good"]


def test_packages_that_are_not_as_built_are_not_released(top: Path, tmp_path: Path) -> None:
    fill(Builder("a"))
    version, folder = metadata.load().version, tmp_path / "release"
    release = steps.Release(version, (distros.get("debian-12"),), (), "", folder)

    def collected() -> list[str]:
        folder.mkdir(exist_ok=True)
        steps._collect(release, io.StringIO())
        return sorted(path.name for path in (folder / "debian-12").iterdir())

    assert "one.deb" in collected()
    notes = (folder / "release-notes.md").read_text()
    assert notes.startswith(f"# panicast {version}\n\n- ") and "\n- debian-12: " in notes
    # The sums of what was built are not those of what is released.
    assert (top / "debian-12" / dist.SUMS).exists() and dist.SUMS not in collected()
    stated = json.loads((top / "debian-12/metadata.json").read_text())
    # As long as it was, and of the same time.
    path = top / "debian-12/one.deb"
    before = path.stat()
    path.write_text("b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match="not as it was built"):
        collected()
    path.unlink()
    with pytest.raises(UserError, match="not as it was built"):
        collected()
    path.write_text("a")
    assert "one.deb" in collected()
    stated["version"] = "0.0.1"
    (top / "debian-12/metadata.json").write_text(json.dumps(stated))
    with pytest.raises(UserError, match="is not of"):
        collected()
