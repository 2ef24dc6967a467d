# SPDX-License-Identifier: GPL-2.0-or-later
"""What targets, kernels, versions and the changelog say of themselves."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import zstandard

from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT
from panicast_build.targets import changelog, distros, kernels, metadata, vendored
from panicast_build.targets.changelog import Entry

# Of a target: those of its keys that the tests below look at.
DEB = """[deb-1]
title = "Deb 1"
family = "deb"
image = "debian:1"
suite = "one"
kernel = "1"
vendored = []
version_suffix = "~1"
kernel_image = "i"
kernel_headers = "h"
flavours = ["a"]
modules_folder = "kernel"
"""


def test_a_target_is_of_its_family_and_has_what_its_table_says(tmp_path: Path) -> None:
    table = tmp_path / "distros.toml"
    table.write_text(DEB + '[deb-2]\nlike = "deb-1"\nsuite = "two"\nrolling = true\n')
    found = distros.load(table)
    assert list(found) == ["deb-1", "deb-2"]
    assert all(isinstance(one, distros.DebDistro) for one in found.values())
    assert [(one.name, one.suite, one.rolling) for one in found.values()] == [
        ("deb-1", "one", False),
        ("deb-2", "two", True),
    ]
    for line, words in (
        (DEB.replace('"deb"', '"snap"'), "family cannot be 'snap'"),
        ("x = 1", "in no table"),
    ):
        table.write_text(line)
        with pytest.raises(UserError, match=words):
            distros.load(table)


def test_one_function_is_called_and_gets_the_target() -> None:
    deb, rpm = distros.get("debian-12"), distros.get("el9")
    for distro, right in ((deb, ("deb", deb)), (rpm, ("rpm", rpm))):
        got = distros.by_family(distro, deb=lambda one: ("deb", one), rpm=lambda one: ("rpm", one))
        assert got == right
    assert set(distros.of_family(distros.DebDistro)) | set(distros.of_family(distros.RpmDistro)) == set(
        distros.load()
    )
    assert all(isinstance(one, distros.RpmDistro) for one in distros.of_family(distros.RpmDistro).values())
    # Targets are keys of dicts.
    assert {deb: 1, rpm: 2}[distros.get("el9")] == 2 and len({deb, distros.get("debian-12")}) == 1


def test_the_folder_of_packages_is_what_a_machine_makes_of_its_source_entry() -> None:
    for distro in distros.of_family(distros.RpmDistro).values():
        expanded = distro.entry_folder.replace("$releasever", distro.suite)
        assert distro.folder == expanded and "$" not in distro.folder and distro.entry_folder
    plain = [one for one in distros.load().values() if not one.repository]
    assert plain and all(one.folder == one.entry_folder == one.name for one in plain)
    expanded_ones = [one for one in distros.load().values() if "$releasever" in one.repository]
    assert expanded_ones and all(one.folder != one.entry_folder for one in expanded_ones)


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("", r"^no distro given$", r"^say --distro, and one of: debian-11, "),
        ("debian-1", "no distro is called 'debian-1'", r"^did you mean debian-1\d\? there are: debian-11, "),
        # Half of its letters are enough.
        ("suse-15", "no distro is called 'suse-15'", r"^did you mean opensuse-leap\? "),
        ("xyzzy", "no distro is called 'xyzzy'", r"^there are: debian-11, "),
    ],
)
def test_a_wrong_target_is_answered_with_what_to_say(name: str, said: str, hint: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        distros.get(name)
    assert re.search(hint, refused.value.hint)


def test_a_list_of_targets_keeps_their_order_and_leaves_out_what_is_empty() -> None:
    assert [one.name for one in distros.select("el9, ,debian-12,el9,")] == ["el9", "debian-12"]
    with pytest.raises(UserError) as refused:
        distros.select(",")
    assert refused.value.hint.endswith("; or all of them: all")


def test_a_kernel_is_called_by_its_series() -> None:
    found = kernels.load()
    assert kernels.select("") == list(found.values())
    first, *_, last = found
    assert [one.name for one in kernels.select(f"{last},{first}")] == [last, first]
    for name, kernel in found.items():
        assert kernel.name == name and kernel.series == name.split("-")[0]
    assert {"6.1", "6.12"} <= {one.series for one in found.values()}
    with pytest.raises(UserError, match=r"no kernel is called '9\.9'") as refused:
        kernels.select("9.9")
    assert first in refused.value.hint


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The files that state the version."""
    for name in (metadata.METADATA, *metadata.VERSION_COPIES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_version_is_set_wherever_it_stands_and_nothing_else_changes(tree: Path) -> None:
    files = (metadata.METADATA, *metadata.VERSION_COPIES)
    before = {name: (tree / name).read_text() for name in files}
    old = metadata.load(tree).version
    metadata.set_version("98.7.6", tree)
    assert metadata.load(tree).version == metadata.stated(tree).version == "98.7.6"
    for name in files:
        changed = [
            (was, now)
            for was, now in zip(
                before[name].splitlines(), (tree / name).read_text().splitlines(), strict=True
            )
            if was != now
        ]
        ((was, now),) = changed
        assert now == was.replace(old, "98.7.6")
    metadata.set_version(old, tree)
    assert {name: (tree / name).read_text() for name in files} == before


def test_a_file_that_states_no_version_is_named(tree: Path) -> None:
    name = next(iter(metadata.VERSION_COPIES))
    (tree / name).write_text("nothing\n")
    with pytest.raises(UserError, match=f"{name} says no version, packaging/metadata.toml says "):
        metadata.load(tree)
    with pytest.raises(UserError, match=f"{name} does not state a version"):
        metadata.set_version("1.0.0", tree)
    (tree / metadata.METADATA).write_text('[project]\nname = "panicast"\n')
    with pytest.raises(UserError, match=r"metadata\.toml: \[project\] lacks the key"):
        metadata.stated(tree)
    shutil.copy(ROOT / metadata.METADATA, tree / metadata.METADATA)
    # metadata.toml states it, whatever other files say.
    assert metadata.stated(tree).name == "panicast"


def test_components_are_those_of_the_family_that_the_target_names() -> None:
    assert [one.name for one in metadata.of_family("deb")] == ["kmod", "receiver"]
    assert [one.name for one in metadata.of_family("rpm")] == ["kmod", "receiver", "selinux"]
    assert metadata.of_distro("rpm", ()) == metadata.of_family("rpm")
    assert [one.name for one in metadata.of_distro("rpm", ("selinux", "kmod"))] == ["kmod", "selinux"]
    assert metadata.of_distro("deb", ("selinux",)) == []
    assert metadata.components("") == list(metadata.COMPONENTS.values())
    assert metadata.components("receiver") == [metadata.COMPONENTS["receiver"]]
    with pytest.raises(UserError, match="no component is called 'x'"):
        metadata.components("x")
    assert metadata.COMPONENTS["kmod"].templates == "panicast-dkms"
    assert metadata.Component("a", "b", folder="c").templates == "c"


def test_a_bundled_module_has_the_version_of_the_lock_and_a_stand_in_none() -> None:
    assert vendored.version("zstandard") == "0" != zstandard.__version__
    assert vendored.distribution("zstandard") == "zstandard"
    assert vendored.distribution("nats") == "nats-py" and re.match(r"\d+\.\d+", vendored.version("nats"))


def test_licences_are_said_once_and_ours_is_not_among_them() -> None:
    assert vendored.licences(["tomli", "sdnotify"]) == ["MIT"]
    assert vendored.licences(["nats", "tomli", "zstandard"]) == ["Apache-2.0", "MIT"]
    assert vendored.licences(["zstandard"]) == []


def test_a_bundled_module_is_its_own_files_alone() -> None:
    assert list(vendored.files(["zstandard"]).values()) == [vendored.OWN / "zstandard.py"]
    for name, path in vendored.files(["tomli"]).items():
        assert name.startswith("tomli/") and (name.endswith(".py") or "LICENSE" in name)
        assert path.name == Path(name).name


TEXT = """# Changelog

Words before the first entry - and a dash.

## 1.10.0 (unreleased)

- Text that [one](a.md) and [two](b.md) tell of,
  in two lines.

## 1.9.0 (2026-05-04)

Words before the first change.

- First
- Second - with a dash
"""


def test_the_changelog_is_versions_dates_and_changes() -> None:
    assert changelog.parse(TEXT) == [
        Entry("1.10.0", None, ("Text that one and two tell of, in two lines.",)),
        Entry("1.9.0", date(2026, 5, 4), ("First", "Second - with a dash")),
    ]
    with pytest.raises(UserError) as refused:
        changelog.parse("# Changelog\n\n## 1.9.0 2026-05-04\n")
    assert refused.value.hint == "a heading is: ## VERSION (YYYY-MM-DD or unreleased)"


def test_a_release_is_of_the_midnight_that_its_day_begins_with() -> None:
    newest, older = changelog.parse(TEXT)
    assert older.time(86400) == datetime(2026, 5, 4, tzinfo=UTC)
    assert newest.time(86400) == datetime(1970, 1, 2, tzinfo=UTC)


def test_older_entries_are_told_and_newer_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "CHANGELOG.md"
    path.write_text(TEXT)
    entries = changelog.parse(TEXT)
    assert changelog.of("1.10.0", path) == entries and changelog.of("1.9.0", path) == entries[1:]
    assert changelog.of("2.0.0", path) == [Entry("2.0.0", None, ("A build between releases.",)), *entries]


def test_only_the_newest_heading_is_dated_and_what_to_write_is_said() -> None:
    undated = TEXT.replace("2026-05-04", "unreleased")
    assert changelog.release(undated, "1.10.0", date(2026, 6, 7)) == undated.replace(
        "1.10.0 (unreleased)", "1.10.0 (2026-06-07)"
    )
    with pytest.raises(UserError) as refused:
        changelog.release(TEXT, "1.11.0", date(2026, 6, 7))
    assert refused.value.hint == "write what is new under: ## 1.11.0 (unreleased)"


def test_words_are_wrapped_whole_below_what_they_belong_to() -> None:
    long = "https://example.org/" + "x" * 80
    entry = Entry("1.0.0", None, (f"See {long} well-known " + "word " * 20, "Second"))
    made = changelog.rpm([entry], "1.el9", "A <a@b>", 0).splitlines()
    assert made[0] == "* Thu Jan 01 1970 A <a@b> - 1.0.0-1.el9"
    assert made[1] == "- See" and made[2] == f"  {long}" and made[3].startswith("  well-known word")
    assert made[-1] == "- Second" and all(line.startswith(("- ", "  ")) for line in made[1:])
    assert 70 < max(len(line) for line in made if long not in line) <= changelog.WIDTH
    hyphens = Entry("1.0.0", None, ("well-known " * 20,))
    made = changelog.rpm([hyphens], "1.el9", "A <a@b>", 0).splitlines()
    assert all(line.endswith("well-known") for line in made[1:])
    blocks = changelog.debian([entry], "pkg", "1.0.0-1", "sid", "A <a@b>", 0).splitlines()
    assert blocks[:3] == ["pkg (1.0.0-1) sid; urgency=medium", "", "  * See"]
    assert blocks[3] == f"    {long}" and blocks[-3:-1] == ["  * Second", ""]
    assert blocks[-1] == " -- A <a@b>  Thu, 01 Jan 1970 00:00:00 +0000"


def test_only_the_upstream_version_is_replaced_in_an_older_entrys() -> None:
    made = changelog.debian(changelog.parse(TEXT), "pkg", "1.10.0-1~bpo1.10.0", "sid", "A <a@b>", 0)
    heads = [line.split()[1] for line in made.splitlines() if line.startswith("pkg")]
    assert heads == ["(1.10.0-1~bpo1.10.0)", "(1.9.0-1~bpo1.10.0)"]
