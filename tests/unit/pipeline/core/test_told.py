# SPDX-License-Identifier: GPL-2.0-or-later
"""What tasks say while they run, where they keep things, and the pages that they write."""

from __future__ import annotations

import io
import re
from pathlib import Path

import jinja2
import pytest
from rich.console import Console

from panicast_build.core import document, paths, progress, templating

from ....waiting import wait_until


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0, "0.0 s"), (4.24, "4.2 s"), (9.9, "9.9 s"), (10, "10 s")),
        *((75.4, "75 s"), (599, "599 s"), (600, "10 min"), (3600, "60 min")),
    ],
)
def test_a_duration_is_as_exact_as_anybody_wants(seconds: float, said: str) -> None:
    assert progress.duration(seconds) == said


def test_a_step_says_that_it_began_and_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.step("building [all]") as step:
        step.detail = "half"
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "… building [all]"
    assert re.fullmatch(r"✓ building \[all\] \(\d+(\.\d)? s\)", lines[1]) and len(lines) == 2


def test_a_step_that_fails_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), progress.step("building [all]"):
        raise KeyboardInterrupt
    assert re.fullmatch(r"✗ building \[all\] \(\d+(\.\d)? s\)", capsys.readouterr().err.splitlines()[1])


def test_the_time_of_a_step_is_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.step("one"):
        now[0] += 75
    with pytest.raises(ZeroDivisionError), progress.step("two"):
        now[0] += 1200
        raise ZeroDivisionError
    said = capsys.readouterr().err
    assert "✓ one (75 s)" in said and "✗ two (20 min)" in said


def test_on_a_terminal_a_line_says_how_far_a_step_is(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, highlight=False, soft_wrap=True, width=200)
    monkeypatch.setattr(progress, "console", terminal)
    with progress.step("building [all]", log=Path("/logs/[x].log")) as step:
        step.detail = "3 of 7"
        wait_until(lambda: "building [all] 3 of 7" in out.getvalue(), "how far it is")
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    # Where to read more, from the beginning on; and for how long it runs.
    assert re.search(r"building \[all\]  /logs/\[x\]\.log", said)
    assert re.search(r"building \[all\] 3 of 7 \d+(\.\d)? s  /logs/\[x\]\.log", said)
    assert "…" not in said and re.search(r"✓ building \[all\] \(", said)


def test_words_in_brackets_are_words(capsys: pytest.CaptureFixture[str]) -> None:
    progress.say("the key [red] of [one]")
    assert capsys.readouterr().err == "the key [red] of [one]\n"


def test_the_cache_is_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANICAST_CACHE", str(tmp_path / "chosen/x/.."))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg/x/.."))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert paths._cache() == tmp_path / "chosen"
    monkeypatch.setenv("PANICAST_CACHE", "")
    assert paths._cache() == tmp_path / "xdg/panicast"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert paths._cache() == tmp_path / "home/.cache/panicast"


def test_what_is_built_has_its_own_place() -> None:
    assert paths.dist_dir("el9") == paths.ROOT / "dist/el9"
    assert (paths.modules_target("el9"), paths.kernel_target("el9")) == ("el9/modules", "el9/kernel")


def test_a_page_is_made_of_its_template_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    templates, docs = tmp_path / "templates", tmp_path / "docs"
    for folder in (templates, docs):
        folder.mkdir()
    (templates / "page.md").write_text("{% for one in rows %}\n| {{ one }} |\n{% endfor %}\n")
    monkeypatch.setattr(document, "TEMPLATES", templates)
    monkeypatch.setattr(document, "DOCS", docs)
    document.write("page.md", rows=["a", "b"])
    assert (docs / "page.md").read_text() == "| a |\n| b |\n"
    with pytest.raises(jinja2.UndefinedError, match="rows"):
        document.write("page.md", others=[])
    assert (docs / "page.md").read_text() == "| a |\n| b |\n"


def test_templates_keep_their_lines_unless_told(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, text in ((first, "first\n"), (second, "second\n")):
        folder.mkdir()
        (folder / "both").write_text(text)
    (second / "block").write_text("a\n  {% if true %}\nb\n  {% endif %}\nc\n")
    found = templating.environment(first, second)
    assert found.get_template("both").render() == "first\n"
    assert found.get_template("block").render() == "a\nb\nc\n"
    kept = templating.environment(first, second, lines=False)
    assert kept.get_template("block").render() == "a\n  \nb\n  \nc\n"
