# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses CHANGELOG.md, and makes the packages' changelogs from it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from pathlib import Path

from debian.changelog import Changelog

from panicast_build.core.errors import UserError
from panicast_build.core.paths import ROOT

PATH = ROOT / "CHANGELOG.md"
HEADING = re.compile(r"^## (\S+) \((unreleased|\d{4}-\d\d-\d\d)\)$", re.MULTILINE)
UNRELEASED = "unreleased"
WIDTH = 76


@dataclass(frozen=True)
class Entry:
    """One version's entry: its date (None: not released yet) and its changes, each as one line."""

    version: str
    released: date | None
    changes: tuple[str, ...]

    def time(self, epoch: int) -> datetime:
        """Returns when it was released, in seconds since 1970; epoch if it was not."""
        if self.released is None:
            return datetime.fromtimestamp(epoch, UTC)
        return datetime(self.released.year, self.released.month, self.released.day, tzinfo=UTC)


def parse(text: str) -> list[Entry]:
    """Returns the entries of a CHANGELOG.md, newest first. Raises UserError if there are none."""
    parts = HEADING.split(text)[1:]
    if not parts:
        raise UserError("CHANGELOG.md has no entry", f"a heading is: ## VERSION (YYYY-MM-DD or {UNRELEASED})")
    return [
        Entry(version, None if when == UNRELEASED else date.fromisoformat(when), _changes(body))
        for version, when, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]


def of(version: str, path: Path = PATH) -> list[Entry]:
    """Returns the entry of version and all older ones, newest first. If version has no entry yet,
    adds one that says so."""
    entries = parse(path.read_text())
    known = [entry.version for entry in entries]
    if version in known:
        return entries[known.index(version) :]
    return [Entry(version, None, ("A build between releases.",)), *entries]


def _changes(body: str) -> tuple[str, ...]:
    items = re.split(r"^- ", body, flags=re.MULTILINE)[1:]
    return tuple(" ".join(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", item).split()) for item in items)


def release(text: str, version: str, today: date) -> str:
    """Returns CHANGELOG.md with the entry of version, which must be the newest, dated today."""
    newest = parse(text)[0]
    if newest.version != version:
        raise UserError(
            f"the newest entry of CHANGELOG.md is for {newest.version}, not {version}",
            f"write what is new under: ## {version} ({UNRELEASED})",
        )
    return HEADING.sub(f"## {version} ({today.isoformat()})", text, count=1)


def debian(
    entries: Sequence[Entry], package: str, version: str, suite: str, maintainer: str, epoch: int
) -> str:
    """Returns debian/changelog; version is the package's, of which the newest entry's version is a
    part."""
    upstream = entries[0].version
    made = Changelog()
    for entry in reversed(entries):
        made.new_block(
            package=package,
            version=version.replace(upstream, entry.version, 1),
            distributions=suite,
            urgency="medium",
            author=maintainer,
            date=format_datetime(entry.time(epoch)),
        )
        for line in ("", *_wrapped(entry, "  * ", "    "), ""):
            made.add_change(line)
    return str(made)


def rpm(entries: Sequence[Entry], release_: str, maintainer: str, epoch: int) -> str:
    """Returns a spec's %changelog; release_ is the packages' release."""
    paragraphs = []
    for entry in entries:
        heading = f"* {entry.time(epoch):%a %b %d %Y} {maintainer} - {entry.version}-{release_}"
        paragraphs.append("\n".join([heading, *_wrapped(entry, "- ", "  ")]))
    # A macro in it would be expanded.
    return "\n\n".join(paragraphs).replace("%", "%%") + "\n"


def _wrapped(entry: Entry, first: str, others: str) -> list[str]:
    return [
        line
        for change in entry.changes
        for line in textwrap.wrap(
            change,
            WIDTH,
            initial_indent=first,
            subsequent_indent=others,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
