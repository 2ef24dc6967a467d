# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings, help, man page, shipped configuration, errors as sentences, terminal safety."""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.cli.arguments import build_parser
from panicast_receiver.db.store import Store
from panicast_receiver.errors import UsageError
from panicast_receiver.records.extents import Run
from panicast_receiver.records.present import file_name
from panicast_receiver.records.record import Record, Source
from panicast_receiver.settings import SETTINGS, load, render_toml
from panicast_receiver.settings.sinks import WEBHOOK_FORMATS
from panicast_receiver.sinks.webhook import FORMATS
from panicast_receiver.text import ago, escape, iso_time, render_log

from ..conftest import PATIENCE_S

RECEIVER = Path(__file__).parents[4] / "receiver"
RECORD = Record(
    identity=b"i" * 20,
    format="v1",
    type="panic",
    header_host="h",
    boot_id=b"b" * 16,
    event=1,
    flags=0,
    frames=2,
    time_ns=1,
    received_ns=1_700_000_000_000_000_000,
    text_length=6,
    metadata=b"reason=r\n",
    runs=(Run(0, b"<3>a\x1bb"[:6]),),
    source=Source(),
)


@pytest.fixture
def state(tmp_path):
    """A state folder with three records of two hosts."""
    store = Store(tmp_path / "state")
    store.write(
        [
            replace(
                RECORD,
                identity=bytes([n]) * 20,
                header_host=host,
                type=kind,
                received_ns=RECORD.received_ns + n * 10**9,
            )
            for n, (host, kind) in enumerate([("a", "panic"), ("../b\x1b[2J", "test"), ("a", "oops")])
        ]
    )
    store.close()


def flags_of(parser):
    """Every long flag of a parser and its subcommands."""
    for action in parser._actions:
        yield from (flag for flag in action.option_strings if flag.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from flags_of(sub)


def test_every_flag_is_in_the_man_page():
    page = (RECEIVER / "man/panicast-receiver.8").read_text().replace("\\-", "-")
    flags = set(flags_of(build_parser()))
    assert len(flags) > len(SETTINGS)
    missing = [flag for flag in sorted(flags) if flag not in page]
    assert not missing, f"explain {missing} in receiver/man/panicast-receiver.8"


def commands_of(parser):
    """The commands that a parser knows."""
    (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return list(action.choices)


@pytest.mark.parametrize("name", commands_of(build_parser()))
def test_each_command_is_explained_and_carried_out(name):
    """Explained in two places of the man page and in the table of docs/receiver.md."""
    man = (RECEIVER / "man/panicast-receiver.8").read_text().replace("\\-", "-")
    commands = man.partition(".SH COMMANDS")[2].partition(".SH OPTIONS")[0]
    synopsis = man.partition(".SH SYNOPSIS")[2].partition(".SH ")[0]
    manual = (RECEIVER.parent / "docs/receiver.md").read_text()
    for place, text, line in (
        ("COMMANDS of the man page", commands, rf"^\.TP\n\.B {name}\b(?!-)"),
        ("SYNOPSIS of the man page", synopsis, rf"^\.B panicast-receiver (.* \| )?{name}\b(?!-)"),
        ("the first table of docs/receiver.md", manual, rf"^\| `{name}\b(?!-)"),
    ):
        assert re.search(line, text, re.MULTILINE), f"{name} is not in {place}"
    carried_out = (RECEIVER / "src/panicast_receiver/cli/main.py").read_text()
    assert f'"{name}"' in carried_out, f"cli/main.py does not carry out {name}"


def test_each_webhook_format_is_made_explained_and_no_other():
    assert tuple(FORMATS) == WEBHOOK_FORMATS, "sinks/webhook.py and settings/sinks.py have different formats"
    man = (RECEIVER / "man/panicast-receiver.8").read_text()
    assert " | ".join(WEBHOOK_FORMATS) in man, "receiver/man/panicast-receiver.8 has other formats"


def test_the_shipped_configuration_is_the_table_of_settings(tmp_path):
    shipped = (RECEIVER / "dist/receiver.toml").read_text()
    assert shipped == render_toml(), "put settings.render_toml() into receiver/dist/receiver.toml"
    active = tmp_path / "c.toml"
    active.write_text(
        "".join(line.lstrip("#") if line[1:2].isalpha() else "" for line in shipped.splitlines(True))
    )
    in_force = {"file": active, **{setting.key: setting.default for setting in SETTINGS}}
    assert vars(load({}, str(active))) == in_force


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('idle_s = 7\nlisten = "127.0.0.1:1"\n')
    got = load({"idle_s": 8.0}, str(config))
    assert (got.idle_s, got.listen, got.memory_mib) == (8.0, "127.0.0.1:1", 256)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("idle = 3\n", "unknown setting 'idle'; did you mean idle_s"),
        ("idle_s = 0\n", "idle_s: 0.0 is wrong; right is a number from 0.1 to 3600"),
        ("memory_mib = true\n", "right is a whole number"),
        ('listen = "::1"\n', "right is ADDR:PORT"),
        ('listen = "1.2.3.4:70000"\n', "right is ADDR:PORT"),
        ("raw_frames = 1\n", "right is true or false"),
        ("idle_s = \n", "is not TOML"),
        ('listen = "::1:6664"\n', "Put an IPv6 address in brackets: [::1]:6664"),
        ('hook = "x"\n', "right is PROGRAM, the absolute path of a program, such as '/"),
        ('webhook = "x"\n', "right is URL, an http or https address, such as 'https://"),
        ('capture = "rign"\n', "right is one of auto, ring, udp"),
        ("idel_s = 3\n", "unknown setting 'idel_s'; did you mean idle_s?"),
        ("memory = 3\n", "did you mean memory_mib?"),
        ("frobnicate = 3\n", "`man panicast-receiver` lists the settings"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path, content, message):
    config = tmp_path / "c.toml"
    config.write_text(content)
    with pytest.raises(UsageError) as caught:
        load({}, str(config))
    assert message in str(caught.value) and str(config) in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["serve", "--idle-s", "x"], 2, "--idle-s: 'x' is wrong; right is a number from 0.1 to 3600"),
        (["serve", "--listen", "1.2.3.4"], 2, "--listen"),
        (["serve", "--config", "/nonexistent/c.toml"], 2, "cannot read the configuration"),
        (
            ["serve", "--interface", "nope0", "--listen", "127.0.0.1:0"],
            1,
            "cannot listen on 127.0.0.1:0 on nope0",
        ),
        (["serve", "--listen", "203.0.113.9:0"], 1, "cannot listen on 203.0.113.9:0"),
        (["list", "--since", "soon"], 2, "neither an age"),
        (["list"], 1, "does not exist"),
        (["show", "abc"], 1, "does not exist"),
        (["frobnicate"], 2, "invalid choice"),
    ],
)
def test_errors_are_sentences(cli, tmp_path, argv, code, message):
    """Not even as root is anything written to the folder of a real service."""
    none = tmp_path / "none"
    done = cli(*argv, state_dir=None if argv[0] == "frobnicate" else tmp_path if argv[0] == "serve" else none)
    assert done.returncode == code, done.stderr
    assert message in done.stderr and "Traceback" not in done.stderr


def test_every_command_has_help_with_examples(cli):
    for command in ("serve", "list", "show", "follow", "export"):
        done = cli(command, "--help", state_dir=None)
        assert done.returncode == 0 and "examples:" in done.stdout and "exit codes:" in done.stdout


def test_filters(cli, state):
    def hosts(*flags):
        return [record["host"] for record in json.loads(cli("list", "--json", *flags).stdout)]

    assert hosts() == ["a", "../b\x1b[2J", "a"]
    assert hosts("--limit", "2") == ["../b\x1b[2J", "a"]
    assert hosts("--type", "oops") == ["a"] and hosts("--type", "hello") == []
    assert len(hosts("--host", "a")) == 2
    assert len(hosts("--since", "2023-11-14T22:13:21Z")) == 2 and hosts("--since", "1h") == []


def test_nothing_hostile_reaches_the_terminal(cli, state):
    listed = cli("list").stdout
    assert "\x1b" not in listed and "../b\\x1b[2J" in listed
    record_id = json.loads(cli("list", "--json", "--type", "test").stdout)[0]["id"]
    shown = cli("show", record_id).stdout
    assert "\x1b" not in shown and shown.endswith("err    a\\x1bb\n")


def test_export_follows_no_link_that_another_has_left(cli, state, tmp_path):
    target, victim = tmp_path / "out", tmp_path / "victim"
    assert cli("export", str(target)).returncode == 0
    victim.write_text("mine")
    names = [path.name for path in target.iterdir()]
    for name in names:
        (target / name).unlink()
        (target / name).symlink_to(victim)
        (target / f".{name}.new").symlink_to(victim)
    assert cli("export", str(target)).returncode == 0
    assert victim.read_text() == "mine" and sorted(path.name for path in target.iterdir()) == sorted(names)
    assert not any((target / name).is_symlink() for name in names)


def test_export_writes_inside_its_folder_only(cli, state, tmp_path):
    target = tmp_path / "out"
    for _ in range(2):
        assert cli("export", str(target)).stdout == f"3 records in {target}\n"
    names = sorted(path.name for path in target.iterdir())
    assert len(names) == 3 and all(name.endswith(".txt") for name in names)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("out", "state")] == []


@given(st.text(max_size=80))
def test_file_names_cannot_mean_a_path(host):
    name = file_name({"host": host, "received": "2026-11-23T23:00:00.0Z", "type": "panic", "id": "abc"})
    assert Path(name).name == name and name.isascii() and name.isprintable() and " " not in name


@given(st.text())
def test_escaped_text_holds_no_control_character(text):
    assert not any((ord(char) < 32 and char != "\t") or 0x7F <= ord(char) < 0xA0 for char in escape(text))


@given(st.binary(max_size=300), st.booleans())
def test_rendering_never_raises(text, colour):
    assert text == b"" or render_log(text, colour).endswith("\n")


def test_levels_are_words_and_colours():
    assert render_log(b"<6>[1.0] a\n<30>b\nc\n[panicast: 3 bytes missing]\n", False) == (
        "info   [1.0] a\ninfo   b\n       c\n[panicast: 3 bytes missing]\n"
    )
    assert render_log(b"<0>x", True) == "\x1b[1;31memerg  x\x1b[0m\n"


@given(st.integers(0, (1 << 64) - 1))
def test_every_time_of_the_wire_can_be_shown(time_ns):
    assert iso_time(time_ns).endswith(f"{time_ns % 10**9:09d}Z")


def test_a_reader_that_has_enough_is_no_error(tmp_path, state):
    listing = subprocess.Popen(
        [sys.executable, "-m", "panicast_receiver", "list", "--json", "--state-dir", str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    listing.stdout.close()
    assert listing.stderr.read() == b"" and listing.wait(PATIENCE_S) == 0
    listing.stderr.close()


def test_ago_is_in_the_largest_unit_that_fits():
    second = 10**9
    told = {
        0: "0 s ago",
        59: "59 s ago",
        60: "1 min ago",
        7199: "1 h ago",
        86400: "1 d ago",
        1 << 27: "1,553 d ago",
    }
    assert {age: ago(0, age * second) for age in told} == told
    assert ago(second, 0) == "ahead of our clock"
