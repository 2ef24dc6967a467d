# SPDX-License-Identifier: GPL-2.0-or-later
"""Every setting once: from this table come the TOML keys, the flags, their help and their checks.

Precedence: flag, then configuration file, then default.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple, Union
from urllib.parse import urlsplit

from .errors import UsageError
from .sinks.syslog import parse_target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_FILE = Path("/etc/panicast/receiver.toml")
SYSTEM_STATE_DIR = Path("/var/lib/panicast")

Value = Union[str, int, float, bool]


class Setting(NamedTuple):
    """``kind`` is the TOML type, ``low`` and ``high`` bound numbers, ``check`` raises ValueError."""

    key: str
    kind: type
    default: Value
    metavar: str
    help: str
    low: float = 0
    high: float = 0
    check: Callable[[str], object] | None = None
    #: Whether the reading commands (list, show, follow, export) use it, or serve alone.
    readers: bool = False
    #: Whether SIGHUP puts a change into force, or a restart alone.
    live: bool = False

    @property
    def flag(self) -> str:
        """The setting as a command line flag."""
        return "--" + self.key.replace("_", "-")

    @property
    def right(self) -> str:
        """What a right value looks like, in words."""
        if self.kind is bool:
            return "true or false"
        if self.kind is str:
            return f"{self.metavar} in quotes, such as {self.default!r}" if self.default else self.metavar
        return f"a {'whole ' if self.kind is int else ''}number from {self.low:.12g} to {self.high:.12g}"

    def convert(self, value: Any, where: str) -> Value:
        """Check a value from a file or flag; raises UsageError that names ``where`` and what is right."""
        if self.kind is float and type(value) is int:
            value = float(value)
        good = type(value) is self.kind
        if good and self.kind in (int, float):
            good = self.low <= value <= self.high
        if good and self.check:
            try:
                self.check(value)
            except ValueError:
                good = False
        if not good:
            raise UsageError(f"{where}: {value!r} is wrong; right is {self.right}")
        return value  # type: ignore[no-any-return]


def parse_listen(text: str) -> tuple[str, int]:
    """Split ADDR:PORT; raises ValueError."""
    address, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(text)
    return str(ipaddress.IPv4Address(address)), int(port)


def parse_interfaces(text: str) -> Sequence[str]:
    """Split a comma list of interface names; [""] stands for every interface. Raises ValueError."""
    names = [name.strip() for name in text.split(",")]
    if text and not all(0 < len(name.encode()) < 16 and "/" not in name for name in names):
        raise ValueError(text)
    return names


def _one_of(*words: str) -> Callable[[str], object]:
    """A check that passes these words only."""

    def check(text: str) -> None:
        if text not in words:
            raise ValueError(text)

    return check


def _absolute(text: str) -> None:
    if text and not text.startswith("/"):
        raise ValueError(text)


def _web(text: str) -> None:
    if text and not (text.startswith(("http://", "https://")) and urlsplit(text).hostname):
        raise ValueError(text)


def _syslog(text: str) -> None:
    if text:
        parse_target(text)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "listen",
        str,
        "0.0.0.0:6664",
        "ADDR:PORT",
        "IPv4 address and UDP port to listen on. Broadcasts are heard on 0.0.0.0 only; port 0: any free one.",
        check=parse_listen,
    ),
    Setting(
        "interface",
        str,
        "",
        "NAME[,NAME]",
        "Interfaces to listen on, separated by commas; empty: every interface.",
        check=parse_interfaces,
    ),
    Setting(
        "capture",
        str,
        "auto",
        "auto|ring|udp",
        "ring: from a packet socket, the way that loses nothing in a burst and hears both formats; needs "
        "CAP_NET_RAW. udp: from a UDP socket. auto: ring where that is allowed, else udp.",
        check=_one_of("auto", "ring", "udp"),
    ),
    Setting(
        "raw_frames",
        bool,
        True,
        "",
        "Hear frames of the raw format (IP protocol 255) too. Needs CAP_NET_RAW, goes on without.",
    ),
    Setting(
        "netconsole_port",
        int,
        0,
        "PORT",
        "UDP port on which to hear netconsole too, plain and extended, so that hosts without the module land "
        "in the same store; 6666 is usual. 0: not at all.",
        low=0,
        high=65535,
    ),
    Setting(
        "state_dir",
        str,
        "",
        "DIR",
        "Folder of the database. Empty: /var/lib/panicast if root, user panicast or (for reading) its group "
        "asks, else $XDG_STATE_HOME/panicast, which is ~/.local/state/panicast by default.",
        readers=True,
    ),
    Setting(
        "idle_s",
        float,
        5.0,
        "SECONDS",
        "An incomplete record is stored, gaps marked, when nothing of it was heard for this long. "
        "A later frame still completes it.",
        low=0.1,
        high=3600,
        live=True,
    ),
    Setting(
        "memory_mib",
        int,
        256,
        "MIB",
        "Memory for records that are still arriving; beyond it the longest idle ones wait in a file.",
        low=4,
        high=65536,
        live=True,
    ),
    Setting(
        "spill_mib",
        int,
        1024,
        "MIB",
        "Largest size of that file, in the folder of the database; beyond it, or with 0, the longest idle "
        "records are stored incomplete and completed there.",
        low=0,
        high=1048576,
    ),
    Setting(
        "max_in_flight",
        int,
        20000,
        "RECORDS",
        "Records that may be arriving at once; beyond it the longest idle ones are stored incomplete.",
        low=1,
        high=1000000,
        live=True,
    ),
    Setting(
        "max_text_kib",
        int,
        1024,
        "KIB",
        "Records with a longer text are dropped and counted. The wire allows 1024.",
        low=1,
        high=1024,
        live=True,
    ),
    Setting(
        "raw_window_s",
        float,
        60.0,
        "SECONDS",
        "The same raw text from the same Ethernet address within this time is a repetition, not a record.",
        low=0.1,
        high=86400,
        live=True,
    ),
    Setting(
        "receive_buffer_mib",
        int,
        64,
        "MIB",
        "Buffer for bursts, for each of the interfaces named: the packet ring, or the UDP socket's, of which "
        "the kernel grants at most net.core.rmem_max without CAP_NET_ADMIN.",
        low=2,
        high=1024,
    ),
    Setting(
        "key_file",
        str,
        "",
        "FILE",
        "Keys of sealed frames, mode 0600: lines of a key id and a key, as `panicast-receiver keygen` prints "
        "them. Empty: sealed frames are dropped.",
        live=True,
    ),
    Setting(
        "require_sealed",
        bool,
        False,
        "",
        "Drop whatever is not sealed with one of the keys: raw frames and netconsole too.",
        live=True,
    ),
    Setting(
        "source_records_per_minute",
        int,
        600,
        "N",
        "Records that a sender, known by MAC and address together, may begin in a minute. 0: no limit.",
        low=0,
        high=1000000,
        live=True,
    ),
    Setting(
        "mac_records_per_minute",
        int,
        0,
        "N",
        "The same for a MAC alone, which senders behind a router share. 0: no limit.",
        low=0,
        high=1000000,
        live=True,
    ),
    Setting(
        "records_per_host",
        int,
        1000,
        "N",
        "Of each host, records beyond the newest N are deleted. 0: none.",
        low=0,
        high=1000000000,
        live=True,
    ),
    Setting(
        "keep_days",
        float,
        0.0,
        "DAYS",
        "Records older than this are deleted. 0: none.",
        low=0,
        high=36500,
        live=True,
    ),
    Setting(
        "keep_mib",
        int,
        0,
        "MIB",
        "When the database is larger, records are deleted: first incomplete, then unsealed, then others, the "
        "oldest of each first. 0: no limit.",
        low=0,
        high=1 << 30,
        live=True,
    ),
    Setting(
        "hook",
        str,
        "",
        "PROGRAM",
        "Absolute path of a program to run for each record: the record as JSON on standard input, "
        "PANICAST_ID, _TYPE, _HOST, _REASON, _TITLE, _SIGNATURE and _RECEIVED as variables. Empty: none.",
        check=_absolute,
    ),
    Setting(
        "webhook",
        str,
        "",
        "URL",
        "Where to post each record as JSON, http or https. Empty: nowhere.",
        check=_web,
    ),
    Setting(
        "webhook_format",
        str,
        "record",
        "record|alertmanager|chat",
        "The record itself, an alert for Alertmanager's /api/v2/alerts, or a line for chats like Slack.",
        check=_one_of("record", "alertmanager", "chat"),
    ),
    Setting(
        "syslog",
        str,
        "",
        "udp|tcp|tls:HOST:PORT",
        "A syslog server (RFC 5424) to tell of each record. Empty: none.",
        check=_syslog,
    ),
    Setting(
        "journal",
        bool,
        False,
        "",
        "Tell the journal of each record in fields of its own (PANICAST_HOST=, PANICAST_SIGNATURE= ...).",
    ),
    Setting(
        "silent_s",
        float,
        900.0,
        "SECONDS",
        "A host that said hello, and then for this long neither hello nor bye, is silent. Three times the "
        "module's hello_s.",
        low=1,
        high=604800,
        readers=True,
        live=True,
    ),
    Setting(
        "log_level",
        str,
        "info",
        "debug|info|notice|warning",
        "What is logged; records are notices.",
        check=_one_of("debug", "info", "notice", "warning"),
        live=True,
    ),
    Setting(
        "stats_s",
        float,
        3600.0,
        "SECONDS",
        "How often the counters are logged; 0: only at the end and on SIGUSR1.",
        low=0,
        high=86400,
        live=True,
    ),
)


class Settings:
    """The values in force, as attributes named like the keys."""

    listen: str
    interface: str
    capture: str
    raw_frames: bool
    netconsole_port: int
    state_dir: str
    idle_s: float
    memory_mib: int
    spill_mib: int
    max_in_flight: int
    max_text_kib: int
    raw_window_s: float
    receive_buffer_mib: int
    key_file: str
    require_sealed: bool
    source_records_per_minute: int
    mac_records_per_minute: int
    records_per_host: int
    keep_days: float
    keep_mib: int
    hook: str
    webhook: str
    webhook_format: str
    syslog: str
    journal: bool
    silent_s: float
    log_level: str
    stats_s: float

    def __init__(self, values: Mapping[str, Value]) -> None:
        for setting in SETTINGS:
            setattr(self, setting.key, values.get(setting.key, setting.default))

    def state_path(self, writing: bool) -> Path:
        """The state folder that applies to this user, see the setting's help."""
        if self.state_dir:
            return Path(self.state_dir)
        usable = os.access(SYSTEM_STATE_DIR, os.W_OK if writing else os.R_OK | os.X_OK)
        if usable or os.geteuid() == 0:
            return SYSTEM_STATE_DIR
        own = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "panicast"
        # Who has no records of his own and asks on a log host is to hear how he gets at the host's.
        reads_none = not writing and not own.exists()
        return SYSTEM_STATE_DIR if reads_none and SYSTEM_STATE_DIR.exists() else own


def load(flags: Mapping[str, Value], config: str | None) -> Settings:
    """Merge the flags that were given with the configuration file; raises UsageError.

    ``config`` names the file; None: the packaged one, where it exists and may be read.
    """
    path = Path(config) if config is not None else CONFIG_FILE
    if config is None and not os.access(path, os.R_OK):
        return Settings(dict(flags))
    return Settings({**_read(path), **flags})


def _read(path: Path) -> Mapping[str, Value]:
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    by_key = {setting.key: setting for setting in SETTINGS}
    for key in table:
        if key not in by_key:
            close = difflib.get_close_matches(key, by_key, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise UsageError(f"{path}: unknown setting {key!r}; {hint}The settings are: {', '.join(by_key)}")
    return {key: by_key[key].convert(value, f"{path}: {key}") for key, value in table.items()}


def from_flag(setting: Setting) -> Callable[[str], Value]:
    """The converter that argparse calls for a flag's text; raises UsageError."""

    def convert(text: str) -> Value:
        try:
            value = setting.kind(text)
        except ValueError:
            value = text
        return setting.convert(value, setting.flag)

    return convert


def render_toml() -> str:
    """The configuration file that is shipped: every setting with its help, commented out at its default."""
    parts = [
        "# Configuration of panicast-receiver. Every setting is also a flag of `panicast-receiver serve`;\n"
        "# flags win. Each line below shows the default. After a change:\n"
        "#   panicast-receiver check-config && systemctl reload-or-restart panicast-receiver\n"
        "# What is marked (restart) is not put into force by a reload.\n"
    ]
    for setting in SETTINGS:
        lines = textwrap.wrap(setting.help + ("" if setting.live else " (restart)"), 96)
        if setting.kind in (int, float):
            lines.append(f"From {setting.low:.12g} to {setting.high:.12g}.")
        shown = (
            str(setting.default).lower()
            if setting.kind is bool
            else (f'"{setting.default}"' if setting.kind is str else str(setting.default))
        )
        parts.append("".join(f"# {line}\n" for line in lines) + f"#{setting.key} = {shown}\n")
    return "\n".join(parts)
