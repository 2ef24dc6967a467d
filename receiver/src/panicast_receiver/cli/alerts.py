# SPDX-License-Identifier: GPL-2.0-or-later
"""The command ``alert-test``: shows what each target of alerts is sent, and sends it."""

from __future__ import annotations

from collections.abc import Sequence

from ..alerts import courier, rules
from ..errors import ReceiverError, UsageError
from ..settings import Settings
from ..sinks.webhook import shown
from ..text import escape
from .commands import say


def test(settings: Settings, names: Sequence[str], dry_run: bool) -> int:
    """Send a made-up alert to these targets, or to all; print what is sent, without secrets."""
    if not settings.alerts_file:
        raise UsageError("no rules of alerts: name their file in alerts_file; docs/receiver.md shows one")
    known = {target.name: target for target in rules.load(settings.alerts_file).target}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no target {name!r}; there are: {', '.join(known) or 'none'}")
    failed = 0
    for target in [known[name] for name in names] or list(known.values()):
        told = courier.made(target, courier.made_up())
        key = rules.secret(target, "key_file")
        body = told.body.decode().replace(key, "(not shown)") if key else told.body.decode()
        say(f"{target.name}: {target.format} to {shown(told.url) if told.url else ', '.join(target.to)}\n")
        say("".join(f"  {escape(line)}\n" for line in body.splitlines()))
        if dry_run:
            continue
        try:
            courier.send(target, courier.made_up(), refusals=True)
            say("  was taken\n")
        except (OSError, ReceiverError) as error:
            failed += 1
            say(f"  failed: {escape(str(error))}\n")
    return 1 if failed else 0
