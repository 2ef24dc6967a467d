# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``regroup``: renames crashes that an older version of the receiver named, and says
what moved.

The service never does this by itself, because operators look for a crash in its group.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ..db import schema
from ..db.meanings import Known, Meanings
from ..errors import ReceiverError
from ..meaning import Meaning, not_understood
from ..meaning.process import NotStarted, Process
from ..text import escape

#: Records that are looked at between two commits.
_BATCH = 64
#: A group's signature and title, or why there is none.
Name = tuple[str, str]


def run(state_dir: Path, dry_run: bool) -> int:
    """Print a line for each group that changes, and store the new names unless ``dry_run``. Raises
    ReceiverError."""
    path = state_dir / schema.FILE_NAME
    moved: Counter[tuple[Name, Name]] = Counter()
    failed = stayed = 0
    process = Process()
    try:
        with closing(Meanings(path)) as meanings:
            for batch in _batches(meanings):
                found = [(one, _ask(process, one)) for one in batch]
                if not dry_run:
                    meanings.rename([(one, new) for one, new in found if isinstance(new, Meaning)])
                for one, new in found:
                    if isinstance(new, str):
                        failed += 1
                        print(f"record {one.task.id} keeps its name: {escape(new)}", file=sys.stderr)
                    elif (one.signature, one.title) == (new.signature, new.title):
                        stayed += 1
                    else:
                        moved[(one.signature, one.title), (new.signature, new.title)] += 1
    except NotStarted as error:
        raise ReceiverError(str(error)) from error
    finally:
        process.stop()
    for ((was, title), (now, name)), count in moved.most_common():
        print(f"{_records(count)}: {was or '-'} {escape(title)} -> {now} {escape(name)}")
    would = "would change" if dry_run else "changed"
    print(f"{_records(sum(moved.values()))} {would}, {stayed} unchanged", file=sys.stderr)
    return 1 if failed else 0


def _batches(meanings: Meanings) -> Iterator[list[Known]]:
    after = b""
    while batch := meanings.known(after, _BATCH):
        yield batch
        after = batch[-1].task.identity


def _ask(process: Process, one: Known) -> Meaning | str:
    process.start()
    found = process.ask(one.task.text, one.task.reason)
    return not_understood(reason=one.task.reason) if isinstance(found, Meaning) and not found.title else found


def _records(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"
