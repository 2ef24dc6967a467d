# SPDX-License-Identifier: GPL-2.0-or-later
"""What people read: spelled right, no line wider than a diff shows, and a licence for every file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from panicast_build.build import source
from panicast_build.core.paths import ROOT
from panicast_build.core.run import run
from panicast_build.targets import distros

WIDTH = 100
#: What CONTRIBUTING.md shortens.
SHORT = (ROOT, ROOT / "packaging/panicast_build", ROOT / "receiver/src/panicast_receiver")
PAGES = sorted(name for name in source.files(".") if name.endswith(".md"))
# What cannot be wrapped: tables, addresses, and the lines of a template that are no text.
UNBREAKABLE = re.compile(r"\s*\||.*https?://|.*\]\(|\s*\{%")


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_every_file_has_a_licence() -> None:
    result = run([tool("reuse"), "--root", ROOT, "lint"], check=False)
    assert result.code == 0, result.output


def test_spelling() -> None:
    words = [str(path) for name, path in source.files(".").items() if not name.endswith((".lock", ".json"))]
    result = run([tool("codespell"), "--toml", ROOT / "pyproject.toml", *words], check=False)
    assert result.code == 0, result.output


@pytest.mark.parametrize("page", PAGES)
def test_width(page: str) -> None:
    """Of the text between blocks of code."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.M | re.S)
    wide = [line for line in text.splitlines() if len(line) > WIDTH and not UNBREAKABLE.match(line)]
    assert not wide


def anchor(heading: str) -> str:
    """The name that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def links(page: str) -> list[tuple[str, str]]:
    """The files and headings that a page links to; a file is given from the top of the tree."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.M | re.S)
    found = [target.partition("#") for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    folder = (ROOT / page).parent
    return [
        (str((folder / path).resolve().relative_to(ROOT)) if path else page, name)
        for path, _, name in found
        if "://" not in path
    ]


# A template's links are those of the page that is made of it.
@pytest.mark.parametrize("page", [page for page in PAGES if "/templates/" not in page])
def test_each_link_leads_to_a_file_and_a_heading(page: str) -> None:
    for path, name in links(page):
        assert (ROOT / path).exists(), f"{path} does not exist"
        if name:
            text = re.sub(r"^```.*?^```", "", (ROOT / path).read_text(), flags=re.M | re.S)
            headings = [anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)]
            assert name in headings, f"{path} has no heading {name}"


def test_each_page_of_docs_is_found_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [path for path, _ in links(page) if path.endswith(".md")]
    lost = {page for page in PAGES if page.startswith("docs/")} - reached
    assert not lost, f"link to {lost} from README.md or from a page that it links to"


def rows() -> list[str]:
    return re.findall(r"^\| .*`.*", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip())
def test_each_path_that_contributing_names_exists(row: str) -> None:
    """Also one that is short, or lies beside the one before it."""
    paths = re.findall(r"`([\w.-]+/[\w./*-]*|[\w-]+\.(?:py|c|h|toml|sh|md|config))`", row)
    beside: tuple[Path, ...] = ()
    for path in paths:
        found = [match for folder in (*SHORT, *beside) for match in folder.glob(path.rstrip("/"))]
        assert found, f"{path} is nowhere: name it from the top of the tree"
        beside = tuple(match if match.is_dir() else match.parent for match in found)


def evidence(page: str, row: str, columns: tuple[int, ...]) -> dict[str, list[bool]]:
    """What a page's table says of each target, column by column: whether it was seen."""
    lines = [line for line in (ROOT / page).read_text().splitlines() if re.match(row, line)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {
        cell[0].partition(" ")[0]: [cell[column] not in ("not yet", "not verified") for column in columns]
        for cell in cells
    }


def test_the_readme_claims_of_each_target_what_the_evidence_says() -> None:
    """docs/support.md is made from the evidence; each target has a row in both."""
    target = rf"\| ({'|'.join(distros.load())})\b"
    claimed = evidence("README.md", target, (3, 4, 5))
    assert claimed == evidence("docs/support.md", target, (2, 4, 5))
    assert set(claimed) == set(distros.load()), "add a row to README.md, and run: ./inv support"
