# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the file of rules that says who gets which alerts: a table [[target]] for each target, and
a few numbers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple

from ..errors import UsageError
from ..plainfile import open_plain
from ..records.labels import fit, split
from ..secretfile import place, read_line
from ..settings.kinds import absolute, web_address
from ..settings.nearest import suggestion
from ..text import matches

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: What there is to tell, the most urgent first, and in words.
KINDS: Mapping[str, str] = {
    "regression": "a resolved crash is back",
    "silent": "hosts are silent",
    "first": "a new crash",
    "host": "a host crashes again and again",
    "kernel": "a crash on a kernel that did not have it",
    "tenfold": "a crash ten times as often",
    "maintenance": "a crash in maintenance",
}
#: What is told at once where a target does not say so.
_AT_ONCE = tuple(kind for kind in KINDS if kind != "maintenance")
SEVERITIES = ("critical", "warning", "info")
_TYPES = ("panic", "oops")
#: What a target may be told in, see formats.py, and what it cannot do without there.
FORMATS: Mapping[str, Sequence[str]] = {
    "alertmanager": ("url",),
    "json": ("url",),
    "slack": ("url",),
    "pagerduty": ("key_file",),
    "ntfy": ("url",),
    "mail": ("to",),
}


class Target(NamedTuple):
    """Who gets alerts. Empty filters let everything through. ``on`` names the kinds that are sent
    at once. The rest goes into the digest, which comes every ``digest_hours``; with 0 it never
    comes."""

    name: str
    format: str
    url: str = ""
    url_file: str = ""
    key_file: str = ""
    to: Sequence[str] = ()
    sender: str = "panicast"
    sendmail: str = "/usr/sbin/sendmail"
    template: str = ""
    on: Sequence[str] = _AT_ONCE
    severities: Sequence[str] = ()
    types: Sequence[str] = ()
    hosts: Sequence[str] = ()
    labels: Sequence[str] = ()
    digest_hours: float = 0.0

    def wants(self, alert: Mapping[str, Any]) -> bool:
        """Tell whether the filters let an alert through. ``on`` says whether it is sent at once."""
        return (
            (not self.severities or alert["severity"] in self.severities)
            and (not self.types or alert["type"] in self.types or not alert["type"])
            and (not self.hosts or matches(alert["host"], self.hosts) or not alert["host"])
            and (fit(alert["labels"], self.labels) or not alert["host"])
        )


class Rules(NamedTuple):
    """The whole file. A host crashes again and again if it does so ``host_crashes`` times within
    ``host_hours``. Hosts are silent in an alarming number from ``silent_hosts`` on."""

    target: Sequence[Target] = ()
    host_crashes: int = 3
    host_hours: float = 24.0
    silent_hosts: int = 10


def _words(*known: str) -> Callable[[Any], bool]:
    return lambda value: _texts(value) and all(one in known for one in value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mail(text: str) -> bool:
    return text.isprintable() and "@" in text


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 8760


def _passes(check: Callable[[str], object]) -> Callable[[Any], bool]:
    def passes(value: Any) -> bool:
        try:
            check(value)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return False
        return True

    return passes


#: Key -> what is right, and whether a value is.
_TOP: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "host_crashes": (
        "a whole number from 2",
        lambda value: type(value) is int and 2 <= value <= 1000,
    ),
    "host_hours": ("a number of hours", lambda value: _number(value) and value > 0),
    "silent_hosts": ("a whole number from 1", lambda value: type(value) is int and value > 0),
}
_OF_TARGET: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a word", lambda value: _text(value) and value.isidentifier() and len(value) < 32),
    "format": (f"one of {', '.join(FORMATS)}", lambda value: _text(value) and value in FORMATS),
    "url": ("an http or https address", _passes(web_address)),
    "url_file": ("a path, or the name of a credential", _text),
    "key_file": ("a path, or the name of a credential", _text),
    "to": ("an array of mail addresses", lambda value: _texts(value) and all(map(_is_mail, value))),
    "sender": ("a mail address", lambda value: _text(value) and value.isprintable()),
    "sendmail": ("an absolute path", _passes(absolute)),
    "template": ("JSON", _passes(json.loads)),
    "on": (f"an array of {', '.join(KINDS)}", _words(*KINDS)),
    "severities": (f"an array of {', '.join(SEVERITIES)}", _words(*SEVERITIES)),
    "types": (f"an array of {', '.join(_TYPES)}", _words(*_TYPES)),
    "hosts": ("an array of patterns", _texts),
    "labels": ("an array of NAME=PATTERN", lambda value: _texts(value) and all(map(_passes(split), value))),
    "digest_hours": ("a number of hours", _number),
}


def load(name: str) -> Rules:
    """Return what the file says. Raises UsageError, which names file, table and key."""
    path = Path(name)
    try:
        with open_plain(path) as file:
            table = tomllib.loads(file.read().decode())
    except OSError as error:
        raise UsageError(f"cannot read the rules of alerts {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    told = table.pop("target", [])
    _check(table, _TOP, str(path))
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise UsageError(f"{path}: target: right is a table [[target]] for each")
    targets = [_target(one, f"{path}: target {number}") for number, one in enumerate(told, 1)]
    if len({target.name for target in targets}) < len(targets):
        raise UsageError(f"{path}: two targets have the same name; give each its own")
    return Rules(targets, **table)


def _target(table: dict[str, Any], where: str) -> Target:
    _check(table, _OF_TARGET, where)
    for key in ("name", "format"):
        if key not in table:
            raise UsageError(f"{where}: {key} is missing; right is {_OF_TARGET[key][0]}")
    target = Target(**table)
    for key in FORMATS[target.format]:
        if not getattr(target, key) and not (key == "url" and target.url_file):
            raise UsageError(f"{where}: {target.format} needs {key}; right is {_OF_TARGET[key][0]}")
    return target


def _check(
    table: Mapping[str, Any], known: Mapping[str, tuple[str, Callable[[Any], bool]]], where: str
) -> None:
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}{suggestion(key, known)}")
        right, is_right = known[key]
        if not is_right(value):
            raise UsageError(f"{where}: {key}: what it says is wrong; right is {right}")


def secret(target: Target, key: str) -> str:
    """Return the one line of the file that a target names; "" if it names none. Raises
    ReceiverError."""
    name = getattr(target, key)
    return read_line(name, f"{key} of the target {target.name}") if name else ""


def files(rules: Rules) -> list[Path]:
    """Return the files with secrets that targets name."""
    names = [name for target in rules.target for name in (target.url_file, target.key_file) if name]
    return [place(name) for name in names]
