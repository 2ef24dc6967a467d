# SPDX-License-Identifier: GPL-2.0-or-later
"""Changelogs that are made of CHANGELOG.md, and what ./inv release refuses, does and resumes."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TextIO

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
    days = [datetime.now(UTC).date()]
    released("1.1.0")
    # It may be midnight.
    days.append(datetime.now(UTC).date())
    assert ran == ["package", "test", "test", "sign"]
    # What the steps have made is there, and nothing of how far they were.
    assert {path.name for path in (tree / "release/1.1.0").iterdir()} == {"package", "test", "sign"}
    assert [path.name for path in (tree / "release").iterdir()] == ["1.1.0"]
    # The version is stated everywhere, and the changelog is dated, in a commit.
    assert metadata.load(tree).version == "1.1.0"
    dated = (tree / "CHANGELOG.md").read_text()
    assert any(f"## 1.1.0 ({day})" in dated for day in days)
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


@pytest.mark.parametrize(("key", "how"), [("C0FFEE", ["-u", "C0FFEE"]), ("", ["-a"])])
def test_the_tag_of_a_signed_release_is_signed(
    key: str, how: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the key that signs all else, not by git's own choice."""
    asked: list[list[str]] = []
    monkeypatch.setattr(steps, "tagged", lambda release: "")
    monkeypatch.setattr(steps, "run", lambda argv, log: asked.append(argv[argv.index("tag") :]))
    steps._tag(steps.Release("1.2.3", (), (), key, Path("/x")), io.StringIO())
    assert asked == [["tag", *how, "-m", "Release 1.2.3", "v1.2.3"]]


def test_an_attestation_is_signed_as_the_specification_says() -> None:
    # Its own example.
    said = attestation.signed_bytes(b"hello world", "http://example.com/HelloWorld")
    assert said == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    unsigned = json.loads(attestation.envelope(b"{}", None))
    assert unsigned == {"payload": "e30=", "payloadType": attestation.TYPE, "signatures": []}


def test_what_a_release_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [distros.get("debian-12"), distros.get("el8")]
    ours = metadata.load().version
    names = [f"panicast-receiver_{ours}-1_all.deb", f"panicast-receiver-{ours}-1.el8.noarch.rpm"]
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


def test_users_get_the_packages_that_the_repository_has_and_sums_of_those(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signing changes RPMs."""
    folder, built = tmp_path / "release", tmp_path / "dist"
    for name in ("el9/a.rpm", "el9/deeper/b.rpm", "debian-12/c.deb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("as built")
    (folder / "repo").mkdir()
    (folder / "repo/left by an earlier try").touch()
    for name in ("snapshots/1/rpm/el9/a.rpm", "snapshots/1/rpm/el9/b.rpm", ".lock"):
        (built / "repo" / name).parent.mkdir(parents=True, exist_ok=True)
        (built / "repo" / name).write_text("signed")
    (built / "repo/current").symlink_to("snapshots/1")
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(steps, "DIST", built)
    monkeypatch.setattr(steps, "inv", lambda _, *words, secrets=False: asked.append((*words, str(secrets))))
    monkeypatch.setattr(steps, "state", lambda *_: (folder / "statement").write_text("as users get them"))
    monkeypatch.setattr(steps.source, "commit", lambda: {"commit": "c0ffee"})
    release = steps.Release("1.0.0", (distros.get("el9"), distros.get("debian-12")), (), "", folder)
    with (tmp_path / "log").open("w") as log:
        steps._sign(release, log)
    assert asked == [("repo", "--distro", "el9,debian-12", "--into", str(built / "repo"), "True")]
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert {name for name, path in files.items() if path.read_text() == "signed"} == {
        "el9/a.rpm",
        "el9/deeper/b.rpm",
        "repo/snapshots/1/rpm/el9/a.rpm",
        "repo/snapshots/1/rpm/el9/b.rpm",
    }
    # Each is there once: all else leads to it, and one link changes all at once.
    assert str((folder / "repo/current").readlink()) == "snapshots/1"
    assert files["debian-12/c.deb"].read_text() == "as built"
    assert not {"repo/.lock", "repo/left by an earlier try", f"{statements.SUMS}.asc"} & set(files)
    summed = dict(reversed(line.split("  ")) for line in files[statements.SUMS].read_text().splitlines())
    wanted = ("el9/a.rpm", "el9/deeper/b.rpm", "debian-12/c.deb", "statement")
    assert {name: summed.get(name) for name in wanted} == {
        name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in wanted
    }


@pytest.mark.parametrize(
    ("stated", "intact", "words"),
    [
        ({}, True, "is not of 1.0.0"),
        ({"version": "0.9.9", "components": {}}, True, "is not of 1.0.0"),
        ({"version": "1.0.0", "components": {"kmod": {}}}, False, "is not as it was built"),
    ],
)
def test_what_is_of_another_version_or_not_as_it_was_built_is_not_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: dict[str, Any], intact: bool, words: str
) -> None:
    (tmp_path / "release").mkdir()
    monkeypatch.setattr(steps.dist, "read", lambda name: stated if name == "el9" else {})
    monkeypatch.setattr(steps.dist, "intact", lambda *_: intact)
    release = steps.Release("1.0.0", (distros.get("el9"),), (), "", tmp_path / "release")
    with (tmp_path / "log").open("w") as log, pytest.raises(UserError, match=words):
        steps._collect(release, log)


def test_a_release_names_its_targets_its_tag_and_who_makes_them() -> None:
    both = (distros.get("debian-12"), distros.get("el9"))
    release = steps.Release("1.2.3", both, (), "", Path("/x"), ("el9",))
    assert (release.tag, release.names) == ("v1.2.3", "debian-12,el9")
    assert release.targets == {"debian-12": "package", "el9": "package", "el9/modules": "modules"}


def test_each_task_of_a_release_is_asked_for_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        steps,
        "inv",
        lambda log, *words, secrets=False, given=(): asked.append((*words, secrets, tuple(given))),
    )
    both = (distros.get("debian-12"), distros.get("el9"))
    release = steps.Release("1.2.3", both, ("el9",), "KEY", Path("/x"), ("debian-12",))
    by_name = {step.name: step for step in steps.STEPS}
    for name in ("package", "modules", "lint", "test", "smoke"):
        by_name[name].do(release, None)
    assert asked == [
        ("package", "--distro", "debian-12,el9", False, ()),
        ("modules", "--distro", "debian-12", False, (steps.signing.SETTING, steps.signing.PIN)),
        ("lint", False, ()),
        ("test", "--nightly", False, ()),
        ("smoke", "--distro", "el9", False, ()),
    ]
    assert [step.name for step in steps.STEPS] == [
        *("package", "modules", "lint", "test", "smoke", "collect", "sign", "tag")
    ]
    assert {step.name for step in steps.STEPS if step.secrets} == {"modules", "sign", "tag"}
