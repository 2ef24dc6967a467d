# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: parses, delegates, and turns errors into sentences and exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from .. import web
from ..capture import sockets
from ..db import maintenance as windows
from ..db import schema, search
from ..db.boots import Ages
from ..db.engine import Place
from ..db.reader import Query
from ..errors import ReceiverError, UsageError
from ..service import supervisor
from ..settings import SETTINGS, Settings, load
from ..settings.kinds import Value
from ..sinks.choice import libraries
from ..text import escape
from ..web import place
from . import alerts, check, commands, doctor, group, health, maintenance, operations, regroup, tokens
from .arguments import CENTRAL, ON_BOTH, build_parser
from .parser import parse

#: Commands that follow the whole configuration; the others only read where the records are.
_STARTING = ("serve", "web", "collect", "check-config", "doctor", "drill", "alert-test")


def _run(args: argparse.Namespace) -> int:
    if args.command == "sockets":
        return sockets.leave()
    flags: dict[str, Value] = {
        setting.key: value
        for setting in SETTINGS
        if (value := getattr(args, f"setting_{setting.key}", None)) is not None
    }
    if args.command == "web" and flags.keys() & set(CENTRAL):
        # Who names a store on the command line wants to see it; in the file it may be a receiver's sink.
        flags.setdefault("web_central", True)
    settings = load(flags, args.config, needed=args.command in _STARTING)
    if args.command == "keygen":
        if args.for_host:
            return operations.host_key(settings, args.id, args.for_host)
        return operations.keygen(args.id, args.master)
    if args.command == "serve":
        return supervisor.run(settings, lambda: load(flags, args.config))
    if args.command == "collect":
        with libraries():
            from ..service import collect
        return collect.run(settings)
    if args.command == "web":
        return web.run(settings)
    if args.command == "token":
        return tokens.run(settings, args.action, args.name, args.role, args.until)
    if args.command == "health":
        return health.run(settings, args.what)
    if args.command == "alert-test":
        return alerts.test(settings, args.target, args.dry_run)
    if args.command == "check-config":
        return check.check_config(settings)
    if args.command in ON_BOTH and flags.keys() & set(CENTRAL):
        return _on_both(settings, args, place.central(settings, args.command))
    if args.command in ON_BOTH:
        return _on_both(settings, args, settings.state_path(writing=_writes(args)))
    if args.command in ("prune", "import", "resend", "restore", "recover", "regroup"):
        state_dir = settings.state_path(writing=True)
        with schema.explained(state_dir / schema.FILE_NAME):
            return _write(args, state_dir)
    state_dir = settings.state_path(writing=False)
    if args.command == "backup":
        return operations.backup(state_dir, Path(args.file))
    if args.command == "drill":
        return operations.drill(settings, state_dir, args.to)
    if args.command == "doctor":
        return doctor.run(settings, state_dir)
    assert args.command == "sinks", f"no code carries out {args.command}"
    return commands.sinks(state_dir, as_json=args.json)


def _query(args: argparse.Namespace) -> Query:
    return Query(
        type=args.type,
        host=args.host,
        since_ns=getattr(args, "since", None),
        limit=getattr(args, "limit", None),
        everything=args.all,
        group=args.group,
        search=args.search,
        state=getattr(args, "state", None),
        folded=args.command in ("list", "groups") and not args.all,
        order=getattr(args, "sort", "last"),
    )


def _writes(args: argparse.Namespace) -> bool:
    """Tell whether one of ON_BOTH changes something."""
    return args.command == "retire" or getattr(args, "action", None) not in (None, "list")


def _on_both(settings: Settings, args: argparse.Namespace, where: Place) -> int:
    """Run a command about crashes and hosts on the records of a receiver, or of the central store."""
    ages = Ages(settings.silent_s, settings.retire_days)
    if args.command == "list":
        return commands.list_records(where, _query(args), as_json=args.json)
    if args.command == "follow":
        return commands.follow(where, _query(args), as_json=args.json)
    if args.command == "export":
        return commands.export(where, _query(args), args.dir)
    if args.command == "groups":
        return commands.groups(where, _query(args), as_json=args.json)
    if args.command == "group" and args.action:
        return group.change(where, args.signature, args.action, args.detail, args.note, args.by)
    if args.command == "group":
        return group.show(where, args.signature, as_json=args.json)
    if args.command == "hosts":
        return commands.hosts(where, ages, args.state, search.words_of(args.search), as_json=args.json)
    if args.command == "retire":
        return operations.retire(where, args.host, args.undo, args.dry_run)
    if args.command == "show":
        return commands.show(where, args.id, as_json=args.json, raw=args.raw)
    assert args.command == "maintenance", f"no code carries out {args.command}"
    return _maintain(where, ages, args)


def _maintain(where: Place, ages: Ages, args: argparse.Namespace) -> int:
    """List, start or end maintenance windows."""
    if args.action == "list":
        if args.what:
            raise UsageError("list takes no hosts; `panicast-receiver hosts` shows who is in maintenance")
        return maintenance.show(where, args.all, as_json=args.json)
    words, start = " ".join(args.what), args.action == "start"
    hosts, number = (words, "") if start else ("", words)
    by = args.by or group.whoever()
    order = windows.Order(args.action, number, hosts, args.begin, args.until, args.note, by, "command")
    return maintenance.change(where, ages, order)


def _write(args: argparse.Namespace, state_dir: Path) -> int:
    """Run a command that writes to the database."""
    if args.command == "restore":
        return operations.restore(state_dir, Path(args.file))
    if args.command == "recover":
        return operations.recover(state_dir, args.file)
    if args.command == "resend":
        return operations.resend(state_dir, args.sink, args.since)
    if args.command == "regroup":
        return regroup.run(state_dir, args.dry_run)
    if args.command == "prune":
        return operations.prune(state_dir, args.older_than, args.per_host, args.dry_run)
    return operations.import_pstore(state_dir, args.dir, args.host)


def main(argv: list[str] | None = None) -> int:
    """Run a command; return the exit code."""
    try:
        code = _run(parse(build_parser(), argv))
        sys.stdout.flush()
        return code
    except ReceiverError as error:
        print(f"panicast-receiver: {escape(str(error))}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has enough of it; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
