# SPDX-License-Identifier: GPL-2.0-or-later
"""What a release states of itself, field by field, and who signs that."""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from panicast_build.core.errors import UserError
from panicast_build.core.run import run
from panicast_build.release import attestation, statements, steps, task
from panicast_build.repository.key import Key
from panicast_build.targets import changelog, distros, metadata, vendored

from .test_release import released, tree  # noqa: F401

TARGETS = ("debian-12", "el8")
SERVED = "repo/snapshots/1"
# The packages, and what else there is.
FILES = {
    "debian-12/panicast-dkms_1.0.0-1_all.deb": "panicast-dkms@1.0.0-1?arch=all",
    "debian-12/panicast-receiver_1.0.0-1_all.deb": "panicast-receiver@1.0.0-1?arch=all",
    "debian-12/panicast_1.0.0-1.dsc": None,
    "el8/panicast-receiver-1.0.0-1.el8.noarch.rpm": "panicast-receiver@1.0.0-1.el8?arch=noarch",
    "el8/deeper/panicast-dkms-1.0.0-1.el8.src.rpm": "panicast-dkms@1.0.0-1.el8?arch=src",
    "el8/modules/kmod-panicast-1.0.0-1.el8.5.14.x86_64.rpm": "kmod-panicast@1.0.0-1.el8.5.14?arch=x86_64",
    f"{SERVED}/deb/pool/bookworm/panicast-archive-keyring_20260501-1_all.deb": (
        "panicast-archive-keyring@20260501-1?arch=all"
    ),
    f"{SERVED}/rpm/el8/panicast-release-20260501-1.noarch.rpm": "panicast-release@20260501-1?arch=noarch",
    f"{SERVED}/deb/pool/bookworm/panicast-receiver_0.9.0-1_all.deb": "panicast-receiver@0.9.0-1?arch=all",
    # Kernels that an earlier publication brought.
    f"{SERVED}/deb/pool/kernel/bookworm/linux-image-panicast_6.1.192-3+panicast1_amd64.deb": (
        "linux-image-panicast@6.1.192-3%2Bpanicast1?arch=amd64"
    ),
    f"{SERVED}/rpm/el8/kernel/kernel-panicast-6.1-1.x86_64.rpm": "kernel-panicast@6.1-1?arch=x86_64",
    # Of a target that is not of this release.
    f"{SERVED}/rpm/el9/panicast-release-20260501-1.noarch.rpm": None,
}
ALSO_SERVED = (
    "deb/pool/bookworm/panicast-dkms_1.0.0-1_all.deb",
    "rpm/el8/kmod-panicast-1.0.0-1.el8.5.14.x86_64.rpm",
)
#: A moment in another zone than the statements'.
WHEN = datetime(2026, 5, 4, 1, 2, 3, tzinfo=timezone(timedelta(hours=2)))


class Signer(Key):
    """A key whose signature is what it signs, backwards."""

    def detached_binary(self, path: Path, into: Path) -> None:
        into.write_bytes(path.read_bytes()[::-1])

    def detached(self, path: Path, into: Path) -> None:
        into.write_text(f"signed by {self.fingerprint}\n{path.read_text()}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A release's files."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    # What a target has itself is served, too; it counts once.
    for name in ALSO_SERVED:
        (tmp_path / SERVED / name).write_text("served")
    (tmp_path / "repo/current").symlink_to("snapshots/1")
    (tmp_path / "repo/link").symlink_to("../debian-12/panicast_1.0.0-1.dsc")
    for name in (statements.SUMS, f"{statements.SUMS}.asc"):
        (tmp_path / name).write_text("made last")
        (tmp_path / "el8" / name).write_text("of the target")
    return tmp_path


def chosen() -> list[distros.Distro]:
    return [distros.get(name) for name in TARGETS]


def sha256(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_an_envelope_has_the_signature_of_what_is_in_it() -> None:
    made = attestation.envelope(b'{"a": 1}', Signer("ABCD"))
    assert made.endswith("\n") and made.count("\n") == 1
    told = json.loads(made)
    assert b64decode(told["payload"]) == b'{"a": 1}' and told["payloadType"] == attestation.TYPE
    (signature,) = told["signatures"]
    assert signature["keyid"] == "ABCD"
    assert b64decode(signature["sig"])[::-1] == attestation.signed_bytes(b'{"a": 1}')


def test_all_files_count_but_links_and_the_sums_themselves(folder: Path) -> None:
    found = [str(path.relative_to(folder)) for path in statements.files(folder)]
    wanted = [*FILES, *(f"el8/{name}" for name in (statements.SUMS, f"{statements.SUMS}.asc"))]
    wanted += [f"{SERVED}/{name}" for name in ALSO_SERVED]
    assert found == sorted(wanted, key=Path)
    told = dict(reversed(line.split("  ")) for line in statements.sums(folder).splitlines())
    assert list(told) == found and all(told[name] == sha256(name) for name in FILES)


def test_the_parts_list_names_each_package_and_what_it_bundles(folder: Path) -> None:
    project = replace(metadata.load(), version="1.0.0")
    bom = json.loads(statements.sbom(project, chosen(), folder, WHEN))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert datetime.fromisoformat(bom["metadata"]["timestamp"]) == WHEN
    whole = bom["metadata"]["component"]
    assert (whole["name"], whole["version"], whole["type"]) == (project.name, project.version, "application")
    found = {part["bom-ref"]: part for part in bom["components"]}
    assert set(found) == {name for name, package in FILES.items() if package}
    (depends,) = [one for one in bom["dependencies"] if one["ref"] == whole["bom-ref"]]
    assert set(depends["dependsOn"]) == set(found)
    for name, part in found.items():
        family = Path(name).suffix.removeprefix(".")
        target = {"deb": "debian-12", "rpm": "el8"}[family]
        stated = FILES[name]
        assert stated is not None
        assert (
            unquote(stated).startswith(f"{part['name']}@{part['version']}?") and part["type"] == "application"
        )
        assert part["purl"] == f"pkg:{family}/{project.name}/{stated}&distro={target}"
        assert part["hashes"] == [{"alg": "SHA-256", "content": sha256(name)}]
        # An earlier version's modules are not known.
        ours = part["name"] == "panicast-receiver" and part["version"].startswith("1.0.0-")
        takes = distros.get(target).vendored if ours else []
        inside = {one["bom-ref"]: one for one in part.get("components", [])}
        assert set(inside) == {f"{name}/{module}" for module in takes}
        for module in takes:
            one = inside[f"{name}/{module}"]
            version = vendored.version(module)
            assert (one["name"], one["version"], one["type"]) == (module, version, "library")
            assert one["purl"].startswith("pkg:pypi/") and one["purl"].endswith(f"@{version}")
    assert any(part.get("components") for part in found.values())


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that is not set to UTC."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


def test_provenance_says_what_was_made_of_what(
    folder: Path, monkeypatch: pytest.MonkeyPatch, zone: None
) -> None:
    def read(target: str) -> dict[str, Any]:
        number = ["debian-12", "el8", "el8/modules"].index(target)
        base = {"layer": f"sha256:{number}{number}", "other": "x"}
        return {"components": {"kmod": {"inputs": {"image": {"base": base, "tag": f"build-{number}"}}}}}

    monkeypatch.setattr(statements.dist, "read", read)
    (folder / statements.PROVENANCE).write_text("of an earlier try")
    project = metadata.load()
    told = json.loads(statements.provenance(project, chosen(), folder, "c0ffee", WHEN))
    assert told["predicateType"] == statements.PREDICATE == "https://slsa.dev/provenance/v1"
    subjects = {one["name"]: one["digest"] for one in told["subject"]}
    assert set(subjects) == {str(path.relative_to(folder)) for path in statements.files(folder)} - {
        statements.PROVENANCE
    }
    assert all(subjects[name] == {"sha256": sha256(name)} for name in FILES)
    home = project.homepage
    # Of the modules' folders only those that there are.
    assert told["predicate"] == {
        "buildDefinition": {
            "buildType": f"{home}/release/v1",
            "externalParameters": {"version": project.version, "distros": list(TARGETS)},
            "resolvedDependencies": [
                {"uri": f"git+{home}", "digest": {"gitCommit": "c0ffee"}},
                *({"name": f"base of build-{n}", "digest": {"sha256": f"{n}{n}"}} for n in range(3)),
            ],
        },
        "runDetails": {
            "builder": {"id": f"{home}/inv-release"},
            "metadata": {"finishedOn": "2026-05-03T23:02:03Z"},
        },
    }


def test_the_notes_are_the_newest_entry_and_the_targets() -> None:
    project = metadata.load()
    entry = changelog.parse("# Changelog\n\n## 1.0.0 (unreleased)\n\n- One\n  thing.\n- Another.\n")[0]
    assert statements.notes(project, entry, chosen(), ["el8"]) == (
        f"# {project.name} {project.version}\n\n"
        + "".join(f"- {change}\n" for change in entry.changes)
        + "\n## Targets\n\n"
        + f"- debian-12: {chosen()[0].title}\n"
        + f"- el8: {chosen()[1].title}; a machine with these packages was crashed, and heard\n"
    )


def test_a_release_is_stated_and_its_sums_are_signed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = folder.parent / "built"
    (built / "repo/current").mkdir(parents=True)
    (built / "repo/current/x.deb").write_text("x")
    (built / "repo/deb").symlink_to("current")
    for name in FILES:
        if name.endswith(".rpm"):
            (built / "repo/current" / Path(name).name).write_text(f"{Path(name).name} signed")
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(steps, "DIST", built)
    monkeypatch.setattr(steps, "inv", lambda log, *words, **options: asked.append((words, options)))
    monkeypatch.setattr(steps.key, "find", lambda name: Signer(f"key of {name}"))
    monkeypatch.setattr(steps.source, "commit", lambda: {"commit": "c0ffee"})
    monkeypatch.setattr(statements.dist, "read", lambda target: {"components": {}})
    release = steps.Release("1.0.0", tuple(chosen()), (), "me", folder)
    before = datetime.now(UTC)
    steps._sign(release, None)  # type: ignore[arg-type]
    words = ("repo", "--distro", "debian-12,el8", "--into", str(built / "repo"), "--sign", "me")
    assert asked == [(words, {"secrets": True})]
    sums = (folder / statements.SUMS).read_text()
    assert (folder / f"{statements.SUMS}.asc").read_text() == f"signed by key of me\n{sums}"
    stated = {line.split("  ")[1] for line in sums.splitlines()}
    assert {statements.SBOM, statements.PROVENANCE, "repo/current/x.deb"} <= stated
    told = json.loads((folder / statements.PROVENANCE).read_text())
    assert told["signatures"][0]["keyid"] == "key of me"
    said = json.loads(b64decode(told["payload"]))
    of = {one["name"]: one["digest"]["sha256"] for one in said["subject"]}
    # Of packages as users get them.
    rpm = "panicast-receiver-1.0.0-1.el8.noarch.rpm"
    assert of[f"el8/{rpm}"] == sha256(f"{rpm} signed")
    assert said["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"] == "c0ffee"
    made = datetime.fromisoformat(said["predicate"]["runDetails"]["metadata"]["finishedOn"])
    assert before.replace(microsecond=0) <= made <= datetime.now(UTC)
    # A folder that is served has links, not everything twice.
    assert (folder / "repo/deb").is_symlink()
    bom = json.loads((folder / statements.SBOM).read_text())
    assert before <= datetime.fromisoformat(bom["metadata"]["timestamp"]) <= datetime.now(UTC)
    # The publication of this try, which has nothing else, is instead of the earlier one's.
    assert {part["bom-ref"] for part in bom["components"]} == {
        name for name, package in FILES.items() if package and not name.startswith("repo/")
    }


def test_packages_with_the_module_that_a_release_does_not_name_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = {"version": "1.0.0", "components": {}}
    monkeypatch.setattr(steps.dist, "read", lambda target: {} if target == "el8/modules" else built)
    release = steps.Release("1.0.0", tuple(chosen()), (), "me", folder)
    with pytest.raises(
        UserError, match="dist/debian-12/modules has packages that this release does not"
    ) as no:
        steps._collect(release, None)  # type: ignore[arg-type]
    assert no.value.hint == "delete that folder, or name it: --modules debian-12"
    assert folder.exists()


def test_an_older_version_is_refused(tree: Path) -> None:  # noqa: F811
    text = (tree / "CHANGELOG.md").read_text()
    (tree / "CHANGELOG.md").write_text(text.replace("## 1.1.0 (", "## 0.10.0 ("))
    run(["git", "-C", tree, "commit", "-qam", "an older one"])
    with pytest.raises(UserError, match=r"0\.10\.0 is older than 1\.0\.0"):
        released("0.10.0")


def test_the_version_that_is_stated_is_released_as_it_is(
    tree: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(task, "STEPS", ())
    text = (tree / "CHANGELOG.md").read_text()
    (tree / "CHANGELOG.md").write_text(text.replace("1.1.0 (unreleased)", "1.0.0 (2026-06-07)"))
    run(["git", "-C", tree, "commit", "-qam", "as it is"])
    head = run(["git", "-C", tree, "rev-parse", "HEAD"]).output
    released("1.0.0", dry=True)
    assert "  version: " not in capsys.readouterr().err
    released("1.0.0")
    assert run(["git", "-C", tree, "rev-parse", "HEAD"]).output == head
    folder = tree / "release/1.0.0"
    assert folder.is_dir()
    assert f"1.0.0 is in {folder}; publish it, then: git push --follow-tags" in capsys.readouterr().err


def test_a_key_that_is_not_there_is_found_before_anything_is_done(
    tree: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def find(name: str) -> Key:
        raise UserError(f"no key {name}")

    monkeypatch.setattr(task.key, "find", find)
    monkeypatch.setattr(task, "STEPS", ())
    with pytest.raises(UserError, match="no key me"):
        task.run("1.1.0", "debian-12", "", "me", False)
    assert not (tree / "release").exists()


def test_what_was_asked_for_reaches_the_steps(
    tree: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[Any, ...]] = []

    def do(release: steps.Release, log: Any) -> None:
        names = tuple(distro.name for distro in release.distros)
        asked.append((release.version, names, release.smoked, release.sign, release.modules))
        assert release.folder == tree / "release/.1.1.0.part/1.1.0" and release.folder.is_dir()
        log.write("said\n")

    one = steps.ReleaseStep("one", "says one", do, secrets=True)
    monkeypatch.setattr(task, "STEPS", (one,))
    monkeypatch.setattr(task.key, "find", Key)
    task.run("1.1.0", "debian-12,el9", "el9", "me", True, "debian-12")
    said = capsys.readouterr().err
    assert "would release 1.1.0 for debian-12,el9:" in said
    assert "  one: says one (with your keys)" in said and asked == []
    assert f"  then {tree / 'release/1.1.0'} has it all" in said
    task.run("1.1.0", "debian-12,el9", "el9", "me", False, "debian-12")
    assert asked == [("1.1.0", ("debian-12", "el9"), ("el9",), "me", ("debian-12",))]
    assert (task.LOGS / "release-one.log").read_text() == "said\n"
    assert "one: says one" in capsys.readouterr().err


@pytest.mark.parametrize("other", ["names", "smoked", "sign", "modules"])
def test_steps_that_were_asked_for_something_else_are_done_again(
    other: str,
    tree: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran: list[str] = []

    def step(name: str) -> steps.ReleaseStep:
        def do(*_: object) -> None:
            ran.append(name)
            if name == "two":
                raise KeyboardInterrupt

        return steps.ReleaseStep(name, name, do)

    monkeypatch.setattr(task, "STEPS", (step("one"), step("two")))
    monkeypatch.setattr(task.key, "find", Key)
    asked = {"names": "el9", "smoked": "el9", "sign": "me", "modules": "el9"}
    for change in ({}, {}, {other: "debian-12"}):
        chosen = {**asked, **change}
        with pytest.raises(KeyboardInterrupt):
            task.run("1.1.0", chosen["names"], chosen["smoked"], chosen["sign"], False, chosen["modules"])
    assert ran == ["one", "two", "two", "one", "two"]
    assert capsys.readouterr().err.count("one: done already") == 1


@pytest.mark.parametrize(("sign", "how"), [("", ["-a"]), ("me", ["-u", "me"])])
def test_a_tag_says_the_version_and_is_signed_if_there_is_a_key(
    sign: str,
    how: list[str],
    tree: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[list[str]] = []
    real = steps.run

    def noted(argv: list[Any], **options: Any) -> Any:
        if argv[3] == "tag":
            asked.append(argv[4:])
            argv = [*argv[:4], "-a", *argv[4 + len(how) :]]
        return real(argv, **options)

    monkeypatch.setattr(steps, "run", noted)
    release = steps.Release("1.1.0", (), (), sign, tree)
    assert steps.tagged(release) == ""
    steps._tag(release, None)  # type: ignore[arg-type]
    assert asked == [[*how, "-m", "Release 1.1.0", "v1.1.0"]]
    assert steps.tagged(release) == run(["git", "-C", tree, "rev-parse", "HEAD"]).output.strip()
    assert run(["git", "-C", tree, "tag", "-n"]).output.split(maxsplit=1) == ["v1.1.0", "Release 1.1.0\n"]
