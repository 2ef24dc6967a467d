# SPDX-License-Identifier: GPL-2.0-or-later
"""netconsole's datagrams, plain and extended: one datagram in, a message out. Pure.

Extended ones are described in the kernel's Documentation/networking/netconsole.rst and
ABI/testing/dev-kmsg: ``[release,]level,sequence,microseconds,flags[,key=value…];text`` with lines
`` KEY=value`` after the text; what does not fit into a datagram comes in pieces that say
``ncfrag=offset/total``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: netconsole sends at most 1000 bytes at a time, with room for whoever changes that.
MAX_DATAGRAM = 8192
_HEADER = re.compile(
    rb"(?:(?P<release>\d+\.\d+[^,;\n]{0,64}),)?(?P<level>\d{1,4}),(?P<sequence>\d{1,20}),(?P<us>\d{1,20}),"
    rb"(?P<flags>[^,;\n]{1,8})(?P<more>(?:,[a-z]+=[^,;\n]{0,64})*);"
)
_FACT = re.compile(rb" ([A-Za-z0-9_.-]{1,64})=([^\n]*)")
_MORE = re.compile(rb",([a-z]+)=([^,]*)")


class Message(NamedTuple):
    """One message, or a piece of one: ``offset`` and ``total`` bytes. ``sequence`` is None for plain ones."""

    text: bytes
    sequence: int | None = None
    release: str = ""
    #: What the kernel's own log would show before the text: level, time, caller.
    stamp: bytes = b""
    offset: int = 0
    total: int = 0


def parse_netconsole(datagram: bytes) -> Message | None:
    """Take a datagram of either kind; None when it is empty or longer than netconsole's are."""
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
    """A whole message as lines of a log, and what the `` KEY=value`` lines behind it say, which are not part
    of the log: properties of the device, what the administrator added, and what the kernel adds last (cpu,
    taskname, release, msgid)."""
    first, *rest = body.rstrip(b"\n").split(b"\n")
    lines, facts = [first], {}
    for line in rest:
        if fact := _FACT.fullmatch(line):
            facts[fact[1].decode()] = fact[2].decode("utf-8", "backslashreplace")
        else:
            lines.append(line)
    return b"".join(stamp + line + b"\n" for line in lines), facts
