# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line's arguments: commands, flags, help. ``main`` carries them out."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from ..db import maintenance as windows
from ..db.boots import STATES
from ..db.grouped import ORDERS as GROUP_ORDERS
from ..db.groups import ACTIONS
from ..db.groups import STATES as GROUP_STATES
from ..settings import CONFIG_FILE, SERVE, SETTINGS, from_flag
from ..settings.kinds import Setting
from ..settings.web import WEB
from ..web.tokens import ROLES
from ..wire.v1 import TYPES
from . import health, values
from .parser import Parser

_EXIT_CODES = "exit codes: 0 done, 1 failed or not found, 2 wrong flag, setting or configuration file"
#: What names the central store; what `collect` uses of the settings.
CENTRAL = ("postgresql", "postgresql_file")
#: Commands that work on the central store, too: by these flags alone, never by a file.
ON_BOTH = ("list", "groups", "group", "hosts", "show", "follow", "export", "retire", "maintenance")
_COLLECTING = (
    *CENTRAL,
    "postgresql_keep_days",
    "postgresql_keep_mib",
    "nats",
    "nats_login",
    "log_level",
    "stats_s",
)


def _add_settings(parser: argparse.ArgumentParser, settings: Sequence[Setting]) -> None:
    group = parser.add_argument_group(
        "settings", "Each is also a key of the configuration file (underscores for dashes). Flags win."
    )
    group.add_argument(
        "--config", metavar="FILE", help=f"configuration file (default: {CONFIG_FILE} where it exists)"
    )
    for setting in settings:
        text = setting.help.replace("%", "%%")
        common: dict[str, Any] = {"dest": f"setting_{setting.key}", "default": None}
        if setting.kind is bool:
            group.add_argument(
                setting.flag,
                action=argparse.BooleanOptionalAction,
                **common,
                help=f"{text} (default: {'yes' if setting.default else 'no'})",
            )
        else:
            shown = f" (default: {setting.default})" if setting.default != "" else ""
            group.add_argument(
                setting.flag, metavar=setting.metavar, type=from_flag(setting), **common, help=text + shown
            )


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--group", metavar="SIGNATURE", help="only crashes of this group (`groups` lists them)"
    )
    parser.add_argument("--type", choices=sorted(TYPES.values()), help="only records of this type")
    parser.add_argument("--host", metavar="NAME", help="only records of this host")
    parser.add_argument(
        "--search",
        metavar="WORDS",
        type=values.words,
        help="only records with each of these words in their text or in what is known of them; "
        'docs/receiver.md has the language: host:db-* kernel:6.1 sym:nvme since:7d -not "a phrase"',
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="hello and bye too, the newest of each boot; and what was kept of a crash beside its record",
    )


def _add_range(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        metavar="WHEN",
        type=values.since,
        help="only records received since then: 30m, 2h, 7d, or 2026-11-23T20:00 (UTC)",
    )
    parser.add_argument("--limit", metavar="N", type=values.number, help="only the newest N")


def build_parser() -> Parser:
    """Return the parser of the whole command line. The man page is tested against it."""
    top = Parser(
        prog="panicast-receiver",
        description="Keeps the last words that crashed machines send, and shows them.",
        epilog=f"{_EXIT_CODES}. `panicast-receiver COMMAND --help` has examples.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {version('panicast-receiver')}")
    subparsers = top.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)

    def command(name: str, text: str, examples: str, settings: Sequence[Setting]) -> argparse.ArgumentParser:
        parser = subparsers.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=f"examples:\n{examples}\n{_EXIT_CODES}",
        )
        _add_settings(parser, [*settings, *(central if name in ON_BOTH else ())])
        return parser

    readers = [setting for setting in SETTINGS if setting.readers]
    central = [setting for setting in SETTINGS if setting.key in CENTRAL]
    command(
        "serve",
        "listen for records and keep them",
        "  panicast-receiver serve\n"
        "  panicast-receiver serve --listen [::]:6664 --interface eth0 --state-dir /srv/panics\n",
        SERVE,
    )
    command(
        "web",
        "show the records as a web page, with metrics and a JSON API",
        "  panicast-receiver web\n"
        "  panicast-receiver web --web-listen 0.0.0.0:6680 --web-token-file /etc/panicast/web-token\n"
        "  panicast-receiver web --postgresql 'host=db.example.org dbname=panicast'\n",
        [*readers, *WEB, *central],
    )
    listing = command(
        "list",
        "list the records, newest last",
        "  panicast-receiver list --type panic --since 7d\n"
        "  panicast-receiver list --json | jq -r '.[] | select(.complete | not) | .id'\n",
        readers,
    )
    listing.add_argument("--json", action="store_true", help="a JSON array, see docs/receiver.md")
    _add_filters(listing)
    _add_range(listing)
    groups = command(
        "groups",
        "list the crashes, grouped across hosts, newest last",
        "  panicast-receiver groups --since 7d\n  panicast-receiver list --group 3fa9c81b2d07\n",
        readers,
    )
    groups.add_argument("--json", action="store_true", help="a JSON array, see docs/receiver.md")
    groups.add_argument("--state", choices=GROUP_STATES, help="only groups in this state")
    groups.add_argument(
        "--sort",
        choices=GROUP_ORDERS,
        default="last",
        help="what comes last in the list: the crash that was seen last, the newest crash (first), or the "
        "one of most hosts or records (default: last)",
    )
    _add_filters(groups)
    _add_range(groups)
    one = command(
        "group",
        "show what was decided about a group of crashes, or change it",
        "  panicast-receiver group 3fa9\n"
        "  panicast-receiver group 3fa9 acknowledge --note 'the vendor has it'\n"
        "  panicast-receiver group 3fa9 mute 7d\n"
        "  panicast-receiver group 3fa9 resolve 6.12.118,6.1.140\n"
        "  panicast-receiver group 3fa9 link https://bugs.example.org/1234\n",
        readers,
    )
    one.add_argument(
        "signature", metavar="GROUP", help="its signature or its beginning, as `groups` prints it"
    )
    one.add_argument(
        "action",
        metavar="ACTION",
        nargs="?",
        choices=tuple(ACTIONS),
        help="; ".join(f"{name}: {action.text}" for name, action in ACTIONS.items()),
    )
    one.add_argument(
        "detail",
        metavar="DETAIL",
        nargs="?",
        default="",
        help="; ".join(f"{name}: {action.detail}" for name, action in ACTIONS.items() if action.detail),
    )
    one.add_argument("--note", metavar="TEXT", default="", help="what others should know")
    one.add_argument("--by", metavar="NAME", default="", help="who you are (default: your user name)")
    one.add_argument("--json", action="store_true", help="show it as a JSON object, see docs/receiver.md")
    hosts = command(
        "hosts",
        "list the hosts with their state: armed, said goodbye, panicked, silent or retired",
        "  panicast-receiver hosts --state silent\n"
        "  panicast-receiver hosts --search label:rack=r12\n"
        "  panicast-receiver hosts --json | jq -r '.[] | [.host, .state] | @tsv'\n",
        readers,
    )
    hosts.add_argument("--json", action="store_true", help="a JSON array, see docs/receiver.md")
    hosts.add_argument("--state", choices=STATES, help="only hosts in this state")
    hosts.add_argument(
        "--search",
        metavar="WORDS",
        type=values.words_of_hosts,
        default="",
        help="only hosts with these words in their name, kernel or address, or with a label: "
        "label:rack=r12, label:rack, -label:role=test",
    )
    show = command(
        "show",
        "show one record",
        "  panicast-receiver show 3fa9\n  panicast-receiver show 3fa9 --raw > last-words.txt\n",
        readers,
    )
    show.add_argument("id", metavar="ID", help="the record's id or its beginning, as `list` prints it")
    how = show.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="the object of `list --json`, and the text")
    how.add_argument("--raw", action="store_true", help="only the text, byte for byte as it arrived")
    follow = command(
        "follow",
        "print records as they are stored or completed, until interrupted",
        "  panicast-receiver follow\n  panicast-receiver follow --type panic --json\n",
        readers,
    )
    follow.add_argument("--json", action="store_true", help="a JSON object on each line")
    _add_filters(follow)
    export = command(
        "export",
        "write each record into its own text file, for grep",
        "  panicast-receiver export /tmp/panics && grep -l RIP: /tmp/panics/*\n",
        readers,
    )
    export.add_argument(
        "dir",
        metavar="DIR",
        help="the folder; it is made if missing, and files of earlier exports are replaced",
    )
    _add_filters(export)
    command(
        "check-config",
        "check the configuration, and show what differs from the default",
        "  panicast-receiver check-config --config /etc/panicast/receiver.toml.new\n",
        SETTINGS,
    )
    command(
        "doctor",
        "find what would stop records from being heard or kept here, and say how to fix it",
        "  panicast-receiver doctor\n",
        SETTINGS,
    )
    healthy = command(
        "health",
        "tell in the exit code whether the service or the page works, for a container's health check",
        "  panicast-receiver health\n  panicast-receiver health web\n",
        [*readers, *(setting for setting in WEB if setting.key in health.SETTINGS)],
    )
    healthy.add_argument(
        "what",
        metavar="WHAT",
        nargs="?",
        default="serve",
        choices=tuple(health.CHECKS),
        help="serve: the service writes its counters; web: the page answers and can read the records (serve)",
    )
    command(
        "collect",
        "move records from a NATS cluster, to which receivers publish them, into PostgreSQL",
        "  panicast-receiver collect --nats nats://n1:4222,nats://n2:4222,nats://n3:4222 "
        "--postgresql 'dbname=panicast'\n",
        [setting for setting in SETTINGS if setting.key in _COLLECTING],
    )
    command(
        "sockets",
        "make packet sockets and pass them to systemd for `serve`: the first step of its unit",
        "  ExecStartPre=-+/usr/bin/panicast-receiver sockets\n",
        [],
    )
    keygen = command(
        "keygen",
        "make a key for sealing frames",
        "  (umask 077 && panicast-receiver keygen --id 2 --master >> /etc/panicast/keys)\n"
        "  panicast-receiver keygen --id 2 --for db-07.example.net --key-file /etc/panicast/keys\n",
        [setting for setting in SETTINGS if setting.readers or setting.key == "key_file"],
    )
    keygen.add_argument(
        "--id", metavar="N", type=values.key_id, default=1, help="the key's id, from 1 to 255 (default: 1)"
    )
    kind = keygen.add_mutually_exclusive_group()
    kind.add_argument(
        "--master", action="store_true", help="make a master key, from which each host's key is derived"
    )
    kind.add_argument(
        "--for",
        dest="for_host",
        metavar="HOST",
        help="print the key of this host (its `uname -n`), derived from the master key with that id "
        "in key_file",
    )
    drill = command(
        "drill",
        "send the service a record of type test over the wire, and wait until it is stored",
        "  panicast-receiver drill\n",
        SETTINGS,
    )
    drill.add_argument("--to", metavar="ADDR", default="", help="send to this address instead of our own")
    alert = command(
        "alert-test",
        "show what each target of alerts is sent, and send it a test",
        "  panicast-receiver alert-test --dry-run\n  panicast-receiver alert-test oncall\n",
        [setting for setting in SETTINGS if setting.readers or setting.key == "alerts_file"],
    )
    alert.add_argument("target", metavar="TARGET", nargs="*", help="its name (default: all of them)")
    alert.add_argument("--dry-run", action="store_true", help="only show what would be sent")
    sinks = command(
        "sinks",
        "show each sink's backlog, its last error and the records it refused",
        "  panicast-receiver sinks\n",
        readers,
    )
    sinks.add_argument("--json", action="store_true", help="a JSON array")
    resend = command(
        "resend",
        "send records to a sink again: those received since a time, or those it refused",
        "  panicast-receiver resend --sink webhook --since 2h\n"
        "  panicast-receiver resend --sink webhook --aside\n",
        readers,
    )
    resend.add_argument(
        "--sink", metavar="NAME", required=True, help="its setting's name: hook, webhook, syslog, ..."
    )
    which = resend.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--since", metavar="WHEN", type=values.since, help="30m, 2h, 7d, or 2026-11-23T20:00 (UTC)"
    )
    which.add_argument("--aside", action="store_true", help="those it refused, which `sinks` lists")
    prune = command(
        "prune",
        "delete old records",
        "  panicast-receiver prune --older-than 365d --per-host 100 --dry-run\n",
        readers,
    )
    prune.add_argument(
        "--older-than",
        metavar="AGE",
        type=values.since,
        help="delete records received before: 90d, or 2026-01-31",
    )
    prune.add_argument(
        "--per-host", metavar="N", type=values.number, help="delete all but the newest N records of each host"
    )
    prune.add_argument("--dry-run", action="store_true", help="only say how many records")
    retire = command(
        "retire",
        "mark hosts as gone, so that they are not silent for ever",
        "  panicast-receiver retire web-17 'old-*' --dry-run\n  panicast-receiver retire --undo web-17\n",
        readers,
    )
    retire.add_argument(
        "host", metavar="HOST", nargs="+", help="the host's name; * and ? stand for other characters"
    )
    retire.add_argument("--undo", action="store_true", help="take it back: they are not gone")
    retire.add_argument("--dry-run", action="store_true", help="only say which hosts")
    planned = command(
        "maintenance",
        "list, start or end maintenance windows: hosts in one cause no alerts",
        "  panicast-receiver maintenance start 'db-*' rack=r12 --until 4h --note 'new switches'\n"
        "  panicast-receiver maintenance list --all\n"
        "  panicast-receiver maintenance end 3\n",
        readers,
    )
    planned.add_argument(
        "action",
        metavar="ACTION",
        nargs="?",
        choices=("list", *windows.ACTIONS),
        default="list",
        help="; ".join(f"{name}: {text}" for name, text in {"list": "show them", **windows.ACTIONS}.items()),
    )
    planned.add_argument(
        "what",
        metavar="HOST|NUMBER",
        nargs="*",
        help="start: hosts' names, in which * and ? stand for other characters, and labels "
        "(NAME=VALUE); a host that one of them fits is in the window. end: the window's number",
    )
    planned.add_argument(
        "--from",
        dest="begin",
        metavar="WHEN",
        default="",
        help="when it begins: 2h (from now), or 2026-12-24T08:00 (UTC; default: now)",
    )
    planned.add_argument("--until", metavar="WHEN", default="", help="when it ends, said in the same way")
    planned.add_argument("--note", metavar="TEXT", default="", help="why, for others")
    planned.add_argument("--by", metavar="NAME", default="", help="who you are (default: your user name)")
    planned.add_argument("--all", action="store_true", help="list those that are over, too")
    planned.add_argument("--json", action="store_true", help="a JSON array, see docs/receiver.md")
    token = command(
        "token",
        "make, list and revoke named tokens of the web page",
        "  panicast-receiver token add grafana --until 2027-02-28\n"
        "  panicast-receiver token add oncall --role operate\n"
        "  panicast-receiver token list\n"
        "  panicast-receiver token revoke grafana\n",
        [setting for setting in SETTINGS if setting.key == "web_tokens_file"],
    )
    token.add_argument(
        "action",
        metavar="ACTION",
        choices=("add", "list", "revoke"),
        help="add: make one and print it, once; list: print names, roles and ends; revoke: end one now",
    )
    token.add_argument("name", metavar="NAME", nargs="?", default="", help="whose token it is")
    token.add_argument(
        "--role",
        choices=ROLES,
        default="read",
        help="read, or operate: change groups and maintenance windows, too (read)",
    )
    token.add_argument(
        "--until", metavar="DATE", default="never", help="the day on which it ends, at midnight UTC (never)"
    )
    again = command(
        "regroup",
        "rename crashes that an older version of the receiver named, and say which groups change",
        "  panicast-receiver regroup --dry-run\n  panicast-receiver regroup\n",
        readers,
    )
    again.add_argument("--dry-run", action="store_true", help="only say which would change")
    backup = command(
        "backup",
        "copy the database into a file, while the service runs or not",
        "  panicast-receiver backup /srv/backup/panicast-$(date +%F).db\n",
        readers,
    )
    backup.add_argument("file", metavar="FILE", help="the copy; must not exist yet")
    restore = command(
        "restore",
        "replace the database by a backup; stop the service first",
        "  systemctl stop panicast-receiver\n"
        "  panicast-receiver restore /srv/backup/panicast-2026-11-23.db\n"
        "  systemctl start panicast-receiver\n",
        readers,
    )
    restore.add_argument("file", metavar="FILE", help="the backup, or the copy that an upgrade left")
    recover = command(
        "recover",
        "save what damaged databases still hold",
        "  panicast-receiver recover\n  panicast-receiver recover /mnt/old-disk/panicast.db\n",
        readers,
    )
    recover.add_argument(
        "file", metavar="FILE", nargs="*", help="a database (default: those that the service set aside)"
    )
    pstore = command(
        "import",
        "store the last words that the firmware kept (pstore), each of them once",
        "  panicast-receiver import /var/lib/systemd/pstore\n"
        "  panicast-receiver import --host db-07 /srv/collected/db-07\n",
        readers,
    )
    pstore.add_argument("dir", metavar="DIR", nargs="+", help="a folder; its subfolders are included")
    pstore.add_argument(
        "--host",
        metavar="NAME",
        default=socket.gethostname(),
        help="the host that they are from (default: this host's name)",
    )
    return top
