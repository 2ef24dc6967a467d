# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses netconsole's datagrams, plain and extended. Pure: it takes a datagram and returns a
message.

Extended ones are described in the kernel's Documentation/networking/netconsole.rst and
ABI/testing/dev-kmsg: ``[release,]level,sequence,microseconds,flags[,key=value…];text`` with lines
`` KEY=value`` after the text; what does not fit into a datagram comes in pieces that say
``ncfrag=offset/total``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: netconsole sends at most 1000 bytes at a time; this leaves room for kernels that send more.
MAX_DATAGRAM = 8192
_HEADER = re.compile(
    rb"(?:(?P<release>\d+\.\d+[^,;\n]{0,64}),)?(?P<level>\d{1,4}),(?P<sequence>\d{1,20}),(?P<us>\d{1,20}),"
    rb"(?P<flags>[^,;\n]{1,8})(?P<more>(?:,[a-z]+=[^,;\n]{0,64})*);"
)
_FACT = re.compile(rb" ([A-Za-z0-9_.-]{1,64})=([^\n]*)")
_MORE = re.compile(rb",([a-z]+)=([^,]*)")


class Message(NamedTuple):
    """A message, or a piece of one: ``offset`` and ``total`` are bytes. ``sequence`` is None if
    plain."""

    text: bytes
    sequence: int | None = None
    release: str = ""
    #: What the kernel's own log would show before the text: level, time, caller.
    stamp: bytes = b""
    offset: int = 0
    total: int = 0


def parse_netconsole(datagram: bytes) -> Message | None:
    """Return the message in a datagram; None if that is empty or longer than netconsole's are."""
    if not datagram or len(datagram) > MAX_DATAGRAM:
        return None
    header = _HEADER.match(datagram)
    if not header:
        return Message(datagram)
    more = dict(_MORE.findall(header["more"]))
    seconds, microseconds = divmod(int(header["us"]), 1_000_000)
    caller = b"[%6s]" % more[b"caller"] if b"caller" in more else b""
    body = datagram[header.end() :]
    offset, _, total = more.get(b"ncfrag", b"").partition(b"/")
    whole = not (offset.isdigit() and total.isdigit())
    return Message(
        body,
        int(header["sequence"]),
        (header["release"] or b"").decode("ascii", "replace"),
        b"<%d>[%5d.%06d]%s " % (int(header["level"]), seconds, microseconds, caller),
        0 if whole else int(offset[:9]),
        len(body) if whole else int(total[:9]),
    )


def take_apart(stamp: bytes, body: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a whole message as lines of a log, and the facts in the `` KEY=value`` lines after it.

    Those are properties of the device, what the administrator added, and what the kernel adds last
    (cpu, taskname, release, msgid). They are not part of the log.
    """
    first, *rest = body.rstrip(b"\n").split(b"\n")
    lines, facts = [first], {}
    for line in rest:
        if fact := _FACT.fullmatch(line):
            facts[fact[1].decode()] = fact[2].decode("utf-8", "backslashreplace")
        else:
            lines.append(line)
    return b"".join(stamp + line + b"\n" for line in lines), facts
