# SPDX-License-Identifier: GPL-2.0-or-later
"""Wherever what a host has said leaves the process, it stays what it is: a name, never a line, a command or
markup. A new way out fails the last tests until it is listed here."""

import ast
import importlib
import io
import json
import logging
import pkgutil
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

import panicast_receiver
from panicast_receiver import log, sinks
from panicast_receiver.central import merging
from panicast_receiver.cli import main as command_line
from panicast_receiver.cli.arguments import build_parser
from panicast_receiver.db import labels, maintenance, schema
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.db.writing import transaction
from panicast_receiver.records import present
from panicast_receiver.records.labels import parse
from panicast_receiver.service import committer
from panicast_receiver.sinks import Notice, archive, broker, journal, loki, otlp, syslog, webhook
from panicast_receiver.sinks.hook import variables
from panicast_receiver.sinks.telling import notice_of as tell
from panicast_receiver.text import escape
from panicast_receiver.web.access import Access
from panicast_receiver.web.server import application
from panicast_receiver.web.site import Site
from panicast_receiver.web.tokens import Tokens
from panicast_receiver.web.visitors import Visitors

from .conftest import explain
from .db.test_fleet import record
from .web.test_web import Markup
from .web.website import website

#: A line of its own, a terminal's command, an end of text, a format, markup, words of a shell and a template,
#: an end of a quotation, letters from right to left, a line separator and a path.
HOSTILE = "h\nFORGED a=b\r\x1b[2J\x9b\0%n%s</script><u>x</u>$(id)`id`{{7*7}}\"]'\\=,;\u202e\u2028../../x"
#: The same where a newline is the wire's own end of a line.
IN_LINE = HOSTILE.replace("\n", "")
SOURCES = Path(panicast_receiver.__file__).parent


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A database of records that have nothing but that in all that a host says."""
    folder = tmp_path_factory.mktemp("state")
    names = ("release", "module", "iface", "mac", "reason", "cpu", IN_LINE)
    metadata = "".join(f"{name}={IN_LINE}\n" for name in names)
    text = f"<0>[ 1.0] Kernel panic - not syncing: {IN_LINE}\n"
    with closing(Store(folder)) as store:
        for number, (kind, said) in enumerate(
            [("panic", text), ("oops", f"<1>[ 1.0] BUG: {IN_LINE}\n"), ("test", "x"), ("hello", "")], 1
        ):
            one = record(kind, "", number, 1, number, said)
            store.write([replace(one, header_host=HOSTILE, metadata=metadata.encode())])
    explain(folder)
    with closing(schema.open_writer(folder / schema.FILE_NAME)) as db:
        labels.put(db, parse("* rack=<u>x</u>$(id)", "f"))
        with transaction(db):
            order = maintenance.Order("start", "", "* rack=<u>x</u>*", "", "4h", IN_LINE, "<u>x</u>", "")
            maintenance.change(db, order)
    return folder


@pytest.fixture(scope="module")
def told(state):
    """What sinks are told; and half a character, which no wire brings, but another receiver's store may."""
    with closing(Reader(state)) as reader:
        found = [tell(reader, entry) for entry in reader.select(Query())]
    halves = Notice({**found[0].record, "host": HOSTILE + "\udcff", "release": "\udcff"}, found[0].line)
    assert len(found) == 3 and all("\n" in one.record["host"] for one in found)
    return [*found, halves]


def is_plain(text):
    """Lines that a terminal does nothing with, none of which a host began."""
    lines = text.split("\n")
    begun = re.compile(r"(<\d+>| )*FORGED")
    return all(escape(line) == line and not begun.match(line) for line in lines)


def is_json(text):
    """ASCII that is JSON."""
    json.loads(text)
    return is_plain(text) and text.isascii()


def is_page(text):
    """Markup of ours alone."""
    elements = {tag for tag, _ in Markup(text).elements}
    return is_plain(text) and "u" not in elements and "<script>" not in text


# -- sinks ------------------------------------------------------------------------------------------


def leaves_hook(told):
    return all(is_plain(value) and "\n" not in value for value in variables(told).values())


def leaves_webhook(told):
    bodies = {name: json.dumps(form(told)) for name, form in webhook.FORMATS.items()}
    assert set(bodies) == {"record", "alertmanager", "chat"}, "list the new format here"
    (alert,) = json.loads(bodies["alertmanager"])
    labels = [*alert["labels"].values(), *alert["annotations"].values()]
    chat = json.loads(bodies["chat"])["text"]
    plain = all(is_plain(value) and "\n" not in value for value in [*labels, chat])
    return plain and "<" not in chat and all(map(is_json, bodies.values()))


def leaves_syslog(told):
    text = syslog.message(told).decode()
    pattern = r'<\d+>1 \S+ \S+ panicast - \w+ \[panicast@32473(?: \w+="(?:[^"\\\]]|\\["\\\]])*")+\] .*'
    return is_plain(text) and "\n" not in text and re.fullmatch(pattern, text) is not None


def leaves_journal(told):
    fields = journal.fields(told)
    return all(is_plain(value) and "\n" not in value for value in fields.values())


def leaves_postgresql(told):
    line = merging.line(told.record)
    return line.count("\n") == 1 and line.count("\t") == len(merging.COLUMNS) - 1 and "\0" not in line


def leaves_nats(told):
    data, headers = broker.pack(told.record, 1 << 20)
    return is_json(data.decode()) and all(is_plain(f"{a}{b}") and "\n" not in b for a, b in headers.items())


def leaves_loki(told):
    ((_, line),) = loki.push(told)["streams"][0]["values"]
    return is_json(line) and is_json(json.dumps(loki.push(told)))


def leaves_otlp(told):
    made = otlp.request(told)
    (part,) = made["resourceLogs"]
    pairs = [*part["resource"]["attributes"], *part["scopeLogs"][0]["logRecords"][0]["attributes"]]
    words = [one["value"]["stringValue"] for one in pairs if "stringValue" in one["value"]]
    return is_json(json.dumps(made)) and all(is_plain(word) and "\n" not in word for word in words)


def leaves_archive(told):
    return re.fullmatch(r"[0-9/]{10}/[\w.-]+/[0-9a-f]+-\d+\.json\.gz", archive.key(told.record), re.A)


SINKS = {
    "Loki": leaves_loki,
    "Otlp": leaves_otlp,
    "Archive": leaves_archive,
    "Hook": leaves_hook,
    "Webhook": leaves_webhook,
    "Syslog": leaves_syslog,
    "Journal": leaves_journal,
    "PostgreSQL": leaves_postgresql,
    "JetStream": leaves_nats,
}


@pytest.mark.parametrize("sink", SINKS)
def test_sinks(told, sink):
    assert all(SINKS[sink](one) for one in told)


def test_every_sink_is_listed():
    found = set()
    for module in pkgutil.iter_modules(sinks.__path__):
        loaded = importlib.import_module(f"{sinks.__name__}.{module.name}")
        members = [one for one in vars(loaded).values() if isinstance(one, type) and hasattr(one, "deliver")]
        found |= {one.__name__ for one in members if one.__module__ == loaded.__name__}
    assert found == set(SINKS)


# -- commands ---------------------------------------------------------------------------------------

COMMANDS = {
    "list": [["list", "--all"], ["list", "--json"]],
    "show": [["show", "{id}"], ["show", "{id}", "--json"]],
    "groups": [["groups"], ["groups", "--json"]],
    "group": [["group", "{group}"], ["group", "{group}", "--json"], ["group", "{group}", "acknowledge"]],
    "hosts": [["hosts"], ["hosts", "--json"]],
    "sinks": [["sinks"], ["sinks", "--json"]],
    "export": [["export", "{tmp}"]],
    "prune": [["prune", "--per-host", "5"]],
    "retire": [["retire", "*", "--dry-run"]],
    "maintenance": [["maintenance"], ["maintenance", "--json"], ["maintenance", "start", "*", "--until=4h"]],
    "regroup": [["regroup"]],
}
#: Say nothing of a record, or no more than those: follow prints the lines of list, drill sends one.
SILENT = {"serve", "web", "follow", "check-config", "doctor", "collect", "keygen", "drill"}
SILENT |= {"alert-test", "health", "sockets", "resend", "backup", "restore", "recover", "import", "token"}


@pytest.mark.parametrize("argv", [argv for ways in COMMANDS.values() for argv in ways], ids=" ".join)
def test_commands(state, tmp_path, capsys, argv):
    with closing(Reader(state)) as reader:
        entries = reader.select(Query())
    for entry in entries if "{id}" in argv else entries[:1]:
        places = {"id": entry.summary["id"], "group": entry.summary["signature"], "tmp": tmp_path}
        words = [word.format(**places) for word in argv]
        assert command_line.main([*words, "--state-dir", str(state)]) == 0
        said = capsys.readouterr()
        assert is_plain(said.err) and (is_json if "--json" in argv else is_plain)(said.out)
    for path in tmp_path.iterdir():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name) and is_plain(path.read_text())


def test_errors(state, capsys):
    assert command_line.main(["show", HOSTILE, "--state-dir", str(state)]) == 1
    assert is_plain(capsys.readouterr().err)


def test_every_command_is_listed():
    actions = build_parser()._subparsers._group_actions
    assert set(actions[0].choices) == set(COMMANDS) | SILENT


# -- the log ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_journal", [False, True])
def test_log(state, told, monkeypatch, is_journal):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log._Formatter(is_journal))
    monkeypatch.setattr(log.logger, "handlers", [handler])
    monkeypatch.setattr(log.logger, "level", logging.DEBUG)
    # What it remembers of levels that other tests have set.
    monkeypatch.setattr(log.logger, "_cache", {})
    with closing(Store(state.parent / f"log-{is_journal}")) as store:
        one = record("panic", "", 9, 1, 1, f"<0>[ 1.0] Kernel panic - not syncing: {IN_LINE}\n")
        one = replace(one, header_host=HOSTILE, metadata=b"")
        for stored in store.write([one, replace(one, identity=b"another")]):
            committer._announce(stored)
    log.logger.error("%s and %s", HOSTILE, HOSTILE)
    try:
        raise OSError(HOSTILE)
    except OSError:
        log.logger.exception("it failed")
    lines = stream.getvalue().split("\n")
    assert is_plain(stream.getvalue()) and len([line for line in lines if "record " in line]) >= 2
    assert all(line.startswith("<") for line in lines if line) == is_journal


# -- the page ---------------------------------------------------------------------------------------


def is_metrics(text):
    """Families of ours, in no label of which a host speaks."""
    return is_plain(text) and "FORGED" not in text and list(text_string_to_metric_families(text))


#: How each of its paths is looked at; None: it says nothing of a record.
PATHS = {
    "/": is_page,
    "/records/{id}": is_page,
    "/groups": is_page,
    "/groups/{group}": is_page,
    "/hosts": is_page,
    "/host?host={host}": is_page,
    "/compare": is_page,
    "/compare?by=hardware": is_page,
    "/compare?by=module&group={group}": is_page,
    "/maintenance": is_page,
    "/login": is_page,
    "/login/provider": None,
    "/login/done": None,
    "/logout": None,
    "/static/{name}": None,
    "/api/v1/records": is_json,
    "/api/v1/records/{id}": is_json,
    "/api/v1/records/{id}/text": None,
    "/api/v1/groups": is_json,
    "/api/v1/groups/{group}": is_json,
    "/api/v1/hosts": is_json,
    "/api/v1/maintenance": is_json,
    "/api/v1/maintenance/{number}": None,
    "/api/v1/compare?by=firmware": is_json,
    "/api/v1/events": None,
    "/openapi.json": is_json,
    "/metrics": is_metrics,
    "/healthz": is_plain,
}


def test_page(state):
    with closing(Reader(state)) as reader:
        ids = [entry.summary["id"] for entry in reader.select(Query())]
        group = reader.groups(Query())[0]["signature"]
        host = reader.select(Query())[0].summary["host"]
    with website(state) as page:
        for path, is_right in PATHS.items():
            for one in ids if "{id}" in path else ids[:1]:
                if is_right:
                    answer = page.ask(path.format(id=one, group=group, host=quote(host, safe="")))
                    assert answer.status == 200 and is_right(answer.text), (path, answer.text)
        for path in (f"/api/v1/records/{ids[0]}/text", "/"):
            answer = page.ask(path)
            assert all(is_plain(f"{name}{value}") for name, value in answer.headers.items())
        with closing(page.connect()) as stream:
            stream.request("GET", "/api/v1/events", headers={"Last-Event-ID": "0"})
            answer = stream.getresponse()
            lines = [answer.readline().decode() for _ in range(8)]
        assert all(re.match(r"(id|data|event|retry)?:|\n", line) and is_plain(line) for line in lines), lines
        assert [line for line in lines if "FORGED" in line]


def test_every_path_of_the_page_is_listed(state):
    app = application(Site("", state, Ages(900), Access(Tokens(None, None)), None, None), Visitors())
    found = {re.sub(r":[^/]*\}", "}", resource.canonical) for resource in app.router.resources()}
    assert found == {path.partition("?")[0] for path in PATHS}


# -- all that there is ------------------------------------------------------------------------------

#: Calls that take words out of the process, and where they are.
WAYS = {"print", "Popen", "sendto", "sendall", "write_text", "write_bytes", "execv", "execvp"}
WHO = {
    "alerts": {"courier"},
    "cli": {"check", "commands", "doctor", "main", "maintenance", "operations", "regroup"},
    "db": {"damage"},
    "meaning": {"process"},
    "sinks": {"confined", "hook", "journal", "syslog"},
    "symbols": {"limited"},
    "": {"programs", "stats", "threads"},
}


def test_every_module_that_says_something_is_listed():
    """Commands, sinks, the log and the page are looked at above; the others say no name of a host."""
    found = {}
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
            if name in WAYS or (isinstance(node, ast.Call) and ast.unparse(node.func) == "subprocess.run"):
                room = path.parent.relative_to(SOURCES)
                found.setdefault("" if room == Path() else str(room), set()).add(path.stem)
    assert found == WHO


def test_file_names():
    summary = {"host": HOSTILE, "received": "2026-11-23T23:00:00.0Z", "type": "panic", "id": "abc"}
    assert re.fullmatch(r"[A-Za-z0-9._-]+", present.file_name(summary))
