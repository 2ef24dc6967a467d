# SPDX-License-Identifier: GPL-2.0-or-later
"""Changelogs that are made of CHANGELOG.md, and what ./inv release refuses, does and resumes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TextIO

import pytest
from debian.changelog import Changelog

from panicast_build.core.errors import BuildError, UserError
from panicast_build.core.run import run
from panicast_build.release import attestation, statements, steps, task
from panicast_build.targets import changelog, distros, metadata

TEXT = """# Changelog

## 1.1.0 (unreleased)

- New: a thing that [the page](docs/page.md) tells of, in a sentence that is so long that it goes
  on in the next line; 100% of it.
- `second`

## 1.0.0 (2026-05-04)

- First.
"""


def test_debians_changelog_is_read_by_debians_tool_as_it_was_meant() -> None:
    entries = changelog.parse(TEXT)
    made = changelog.debian(entries, "pkg", "1.1.0-1~deb12", "bookworm", "A B <a@example.org>", 86400)
    read = Changelog(made, strict=True)
    assert [str(block.version) for block in read] == ["1.1.0-1~deb12", "1.0.0-1~deb12"]
    assert {block.distributions for block in read} == {"bookworm"}
    assert [block.date[:16] for block in read] == ["Fri, 02 Jan 1970", "Mon, 04 May 2026"]
    changes = " ".join(" ".join(read[0].changes()).split())
    assert changes == (
        "* New: a thing that the page tells of, in a sentence that is so long that it goes on in the next "
        "line; 100% of it. * `second`"
    )
    assert max(map(len, made.splitlines())) <= 80


def test_a_specs_changelog_is_the_same() -> None:
    made = changelog.rpm(changelog.parse(TEXT), "1.el9", "A B <a@example.org>", 86400)
    headings = [line for line in made.splitlines() if line.startswith("* ")]
    assert headings == [
        "* Fri Jan 02 1970 A B <a@example.org> - 1.1.0-1.el9",
        "* Mon May 04 2026 A B <a@example.org> - 1.0.0-1.el9",
    ]
    assert "100%% of it." in " ".join(made.split())


def test_only_the_newest_entry_is_released() -> None:
    released = changelog.release(TEXT, "1.1.0", date(2026, 6, 7))
    assert "## 1.1.0 (2026-06-07)\n" in released
    assert [one.version for one in changelog.parse(released)] == [
        one.version for one in changelog.parse(TEXT)
    ]
    with pytest.raises(UserError, match=r"is for 1\.1\.0, not 1\.2\.0"):
        changelog.release(TEXT, "1.2.0", date(2026, 6, 7))
    with pytest.raises(UserError, match="no entry"):
        changelog.parse("# Changelog\n")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a version and a changelog, which the release is of."""
    root = tmp_path / "tree"
    copies = [metadata.METADATA, *metadata.VERSION_COPIES]
    for path in copies:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(re.sub(r'"0\.\d+\.0"', '"1.0.0"', (metadata.ROOT / path).read_text()))
    (root / "CHANGELOG.md").write_text(TEXT)
    (root / ".gitignore").write_text("/release/\n")
    for argv in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        run(["git", "-C", root, "-c", "user.name=t", "-c", "user.email=t@example.org", *argv])
    run(["git", "-C", root, "config", "user.name", "t"])
    run(["git", "-C", root, "config", "user.email", "t@example.org"])
    for module in (task, steps, task.source):
        monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(task, "FOLDER", root / "release")
    monkeypatch.setattr(task, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(changelog, "PATH", root / "CHANGELOG.md")
    stated: Callable[[str], None] = metadata.set_version
    monkeypatch.setattr(metadata, "set_version", lambda version: stated(version, root))
    return root


def released(version: str, dry: bool = False) -> None:
    task.run(version, "debian-12", "", "", dry)


def test_what_must_not_be_released_is_refused(tree: Path) -> None:
    for version, words in (("1.1", "not a version"), ("1.2.0", "newest entry")):
        with pytest.raises(UserError, match=words):
            released(version)
    (tree / "new").touch()
    with pytest.raises(UserError, match="not committed"):
        released("1.1.0")
    (tree / "new").unlink()
    run(["git", "-C", tree, "tag", "v1.1.0"])
    with pytest.raises(UserError, match=r"tag v1\.1\.0"):
        released("1.1.0")
    run(["git", "-C", tree, "tag", "-d", "v1.1.0"])
    (tree / "release/1.1.0").mkdir(parents=True)
    with pytest.raises(UserError, match="released already"):
        released("1.1.0")


def test_a_dry_run_says_every_step_and_changes_nothing(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = run(["git", "-C", tree, "rev-parse", "HEAD"]).output
    released("1.1.0", dry=True)
    said = capsys.readouterr().err
    assert all(f"  {step.name}: " in said for step in steps.STEPS) and "  version: " in said
    assert run(["git", "-C", tree, "rev-parse", "HEAD"]).output == head
    assert not (tree / "release").exists()


def test_an_interrupted_release_goes_on_where_it_ended(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    red = [True]

    def step(name: str) -> steps.ReleaseStep:
        def do(release: steps.Release, log: object) -> None:
            ran.append(name)
            (release.folder / name).touch()
            if name == "test" and red.pop():
                raise BuildError("red", Path("/nowhere"))

        return steps.ReleaseStep(name, name, do)

    monkeypatch.setattr(task, "STEPS", tuple(map(step, ("package", "test", "sign"))))
    with pytest.raises(BuildError):
        released("1.1.0")
    assert not (tree / "release/1.1.0").exists()
    red.append(False)
    released("1.1.0")
    assert ran == ["package", "test", "test", "sign"]
    # What the steps have made is there, and nothing of how far they were.
    assert {path.name for path in (tree / "release/1.1.0").iterdir()} == {"package", "test", "sign"}
    assert [path.name for path in (tree / "release").iterdir()] == ["1.1.0"]
    # The version is stated everywhere, and the changelog is dated, in a commit.
    assert metadata.load(tree).version == "1.1.0"
    assert f"## 1.1.0 ({datetime.now(UTC).date()})" in (tree / "CHANGELOG.md").read_text()
    assert run(["git", "-C", tree, "status", "--porcelain"]).output == ""
    assert run(["git", "-C", tree, "log", "-1", "--format=%s"]).output == "Release 1.1.0\n"


def test_what_another_commit_did_is_done_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def do(name: str) -> Callable[[steps.Release, object], None]:
        def do(_: steps.Release, __: object) -> None:
            ran.append(name)
            if name == "test" and len(ran) < 4:
                raise BuildError("red", Path("/nowhere"))

        return do

    monkeypatch.setattr(task, "STEPS", tuple(steps.ReleaseStep(n, n, do(n)) for n in ("package", "test")))
    with pytest.raises(BuildError):
        released("1.1.0")
    (tree / "mended").touch()
    for argv in (["add", "."], ["commit", "-qm", "mend what was red"]):
        run(["git", "-C", tree, *argv])
    released("1.1.0")
    assert ran == ["package", "test", "package", "test"]


def test_a_release_that_was_killed_after_its_tag_is_finished(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tag,) = (step for step in steps.STEPS if step.name == "tag")

    def killed(release: steps.Release, log: TextIO) -> None:
        tag.do(release, log)
        raise KeyboardInterrupt

    monkeypatch.setattr(task, "STEPS", (steps.ReleaseStep("tag", "tag", killed),))
    with pytest.raises(KeyboardInterrupt):
        released("1.1.0")
    monkeypatch.setattr(task, "STEPS", (tag,))
    released("1.1.0")
    assert (tree / "release/1.1.0").is_dir()
    assert run(["git", "-C", tree, "tag"]).output == "v1.1.0\n"


def test_only_the_steps_that_sign_know_of_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "home/.gnupg").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GNUPGHOME", "/home/me/keys")
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    shown = 'os.environ["GNUPGHOME"], *os.listdir(os.environ["HOME"])'
    (tmp_path / "tasks.py").write_text(
        f"import os\nfrom invoke import task\n@task\ndef show(_):\n    print({shown})\n"
    )
    with (tmp_path / "log").open("w") as log:
        steps.inv(log, "show")
        steps.inv(log, "show", secrets=True)
    said = (tmp_path / "log").read_text().splitlines()
    assert [line for line in said if not line.startswith("+")] == [steps.NO_KEYS, "/home/me/keys .gnupg"]


def test_an_attestation_is_signed_as_the_specification_says() -> None:
    # Its own example.
    said = attestation.signed_bytes(b"hello world", "http://example.com/HelloWorld")
    assert said == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    unsigned = json.loads(attestation.envelope(b"{}", None))
    assert unsigned == {"payload": "e30=", "payloadType": attestation.TYPE, "signatures": []}


def test_what_a_release_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [distros.get("debian-12"), distros.get("el8")]
    names = ["panicast-receiver_1_all.deb", "panicast-receiver-1-1.el8.noarch.rpm"]
    for distro, name in zip(targets, names, strict=True):
        (tmp_path / distro.name).mkdir()
        (tmp_path / distro.name / name).write_text(name)
    layer = {"base": {"layer": "sha256:" + "ab" * 32}, "tag": "build-deb"}
    monkeypatch.setattr(
        statements.dist, "read", lambda name: {"components": {"kmod": {"inputs": {"image": layer}}}}
    )
    now, project = datetime.now(UTC), metadata.load()
    bom = json.loads(statements.sbom(project, targets, tmp_path, now))
    assert bom["bomFormat"] == "CycloneDX"
    found = {component["bom-ref"]: component for component in bom["components"]}
    assert set(found) == {f"{d.name}/{n}" for d, n in zip(targets, names, strict=True)}
    for distro, name in zip(targets, names, strict=True):
        inside = found[f"{distro.name}/{name}"]["components"]
        assert {module["name"] for module in inside} == set(distro.vendored)
    statement = json.loads(statements.provenance(project, targets, tmp_path, "c0ffee", now))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert {subject["name"] for subject in statement["subject"]} == set(found)
    built = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert built[0]["digest"] == {"gitCommit": "c0ffee"} and built[1]["digest"]["sha256"] == "ab" * 32
    entry = changelog.parse(TEXT)[0]
    said = statements.notes(project, entry, targets, ["el8"]).splitlines()
    assert [line.split(":")[0] for line in said if "crashed" in line] == ["- el8"]
    # What is made of the sums themselves is not in them.
    for made in (statements.SUMS, f"{statements.SUMS}.asc"):
        (tmp_path / made).write_text("made last")
    sums = statements.sums(tmp_path).splitlines()
    assert sums == [
        f"{hashlib.sha256(name.encode()).hexdigest()}  {distro.name}/{name}"
        for distro, name in zip(targets, names, strict=True)
    ]
