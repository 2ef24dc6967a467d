# SPDX-License-Identifier: GPL-2.0-or-later
"""Our TOML tables: what is wrong in one is a sentence with the file, the table and the key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from panicast_build.core import tables
from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT
from panicast_build.crash import cases
from panicast_build.kernel import config, series
from panicast_build.targets import distros, kernels, metadata

GOOD = 'number = 1\nwords = ["a"]\nbase = "file"\n'


@dataclass(frozen=True)
class Row:
    name: str
    number: int
    words: tuple[str, ...]
    base: Path
    truth: bool = False


def write(folder: Path, text: str) -> Path:
    path = folder / "rows.toml"
    path.write_text(text)
    return path


def test_a_table_is_a_value(tmp_path: Path) -> None:
    path = write(tmp_path, f"[one]\n{GOOD}")
    assert tables.read(path, Row) == {"one": Row("one", 1, ("a",), tmp_path / "file")}


def test_a_table_inherits_all_that_it_does_not_set(tmp_path: Path) -> None:
    path = write(
        tmp_path, f'[heir]\nlike = "son"\nnumber = 3\n[one]\n{GOOD}[son]\nlike = "one"\ntruth = true\n'
    )
    assert tables.read(path, Row)["heir"] == Row("heir", 3, ("a",), tmp_path / "file", True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[one]\n{GOOD}numbers = 2", r"\[one\] has the unknown key numbers"),
        (f"[one]\n{GOOD}name = 'two'", r"\[one\] has the unknown key name"),
        ("[one]\nwords = []\nbase = ''", r"\[one\] lacks the key number"),
        (f"[one]\n{GOOD}".replace("1", "'1'"), r"in \[one\], number must be a whole number, not a string"),
        (f"[one]\n{GOOD}".replace("1", "2026-01-02"), r"in \[one\], number must be a whole number, not date"),
        (f"[one]\n{GOOD}truth = 1", r"in \[one\], truth must be true or false, not a whole number"),
        (f"[one]\n{GOOD}".replace('["a"]', "[1]"), r"in \[one\], words\S* must be a string, not a whole"),
        (f"[one]\n{GOOD}".replace('["a"]', "'a'"), r"in \[one\], words must be a list, not a string"),
        ("number = 1", "the key number is in no table"),
        ("[one", "is not TOML"),
        ("[one]\nlike = 'two'", r"\[one\] is like 'two', which does not exist"),
        (
            "[one]\nlike = 'two'\n[two]\nlike = 'one'",
            r"is like \[(one|two)\], which is itself like \[(one|two)\]",
        ),
        ("[one]\nlike = 'one'", r"is like \[(one|two)\], which is itself like \[(one|two)\]"),
    ],
)
def test_what_is_wrong_is_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"rows\.toml:? .*{said}|rows\.toml {said}"):
        tables.read(write(tmp_path, text), Row)


def test_a_near_miss_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        tables.read(write(tmp_path, f"[one]\n{GOOD}numbers = 2"), Row)
    assert refused.value.hint == "did you mean number?"
    with pytest.raises(UserError) as refused:
        tables.read(write(tmp_path, f"[one]\n{GOOD}quite_another = 2"), Row)
    assert refused.value.hint == "it may have: number, words, base, truth"


def test_a_file_is_named_by_its_place_in_the_tree(tmp_path: Path) -> None:
    assert tables.shown(ROOT / "packaging/distros.toml") == "packaging/distros.toml"
    assert tables.shown(tmp_path / "rows.toml") == str(tmp_path / "rows.toml")


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rows\.toml cannot be read: No such file or directory"):
        tables.read(tmp_path / "rows.toml", Row)
    (tmp_path / "rows.toml").write_bytes(b"[one]\nwords = '\xff'")
    with pytest.raises(UserError, match=r"rows\.toml is not TOML: .*utf-8"):
        tables.read(tmp_path / "rows.toml", Row)


def test_a_key_picks_one_of_those_that_are_known(tmp_path: Path) -> None:
    path = tmp_path / "rows.toml"
    assert tables.pick(path, "one", {"how": "b"}, "how", {"a": 1, "b": 2}) == 2
    for fields, said in (({}, "lacks the key how"), ({"how": "c"}, "how cannot be 'c'")):
        with pytest.raises(UserError, match=said) as refused:
            tables.pick(path, "one", fields, "how", {"a": 1, "b": 2})
        assert refused.value.hint == "it is one of: a, b"


def test_a_name_may_be_a_key_like_the_others(tmp_path: Path) -> None:
    fields = {"name": "said", "number": 1, "words": [], "base": "file"}
    path = tmp_path / "rows.toml"
    assert tables.value(path, "one", fields, Row, named=False) == Row("said", 1, (), tmp_path / "file")
    with pytest.raises(UserError, match="unknown key name"):
        tables.value(path, "one", fields, Row)


def test_what_inherits_from_nothing_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        tables.read(write(tmp_path, f"[one]\nlike = 'two'\n[three]\n{GOOD}"), Row)
    assert refused.value.hint == "there are: one, three"


@pytest.mark.parametrize(
    ("module", "path", "attribute"),
    [
        (distros, distros.TABLE, "TABLE"),
        (kernels, kernels.TABLE, "TABLE"),
        (cases, cases.TABLE, "TABLE"),
        (series, series.TABLE, "TABLE"),
        (config, config.TABLE, "TABLE"),
        (metadata, ROOT / metadata.METADATA, "METADATA"),
    ],
    ids=lambda value: getattr(value, "__name__", "").rpartition(".")[2],
)
def test_each_of_our_files_is_checked(
    module: object, path: Path, attribute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more key in the first table of each is refused, whoever reads it."""
    changed = tmp_path / path.name
    changed.write_text(re.sub(r"^(\[.*\])$", r"\1\nnonesuch = 1", path.read_text(), count=1, flags=re.M))
    monkeypatch.setattr(module, attribute, changed)
    load = module.load  # type: ignore[attr-defined]
    arguments = (changed,) if module in (distros, kernels, series) else ()
    with pytest.raises(UserError, match=rf"{re.escape(path.name)}: \[.*\] has the unknown key nonesuch"):
        load(*arguments)


@pytest.mark.parametrize("family", ["", 'family = "dbe"'])
def test_a_family_is_one_that_there_is(family: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\[one\].*family") as refused:
        distros.load(write(tmp_path, f"[one]\n{family}"))
    assert "deb, rpm" in refused.value.hint
