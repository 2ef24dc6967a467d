# SPDX-License-Identifier: GPL-2.0-or-later
"""check-config finds what the start finds; messages say what is right; doctor asks the service."""

import json
import os
import pwd
import sqlite3
from contextlib import closing

import pytest

from panicast_receiver import secretfile
from panicast_receiver.cli import check, doctor
from panicast_receiver.db import schema
from panicast_receiver.errors import ReceiverError, UsageError
from panicast_receiver.service import memory
from panicast_receiver.settings import SETTINGS, load
from panicast_receiver.settings.nearest import suggestion

from ..conftest import held_port

TOKEN = "a-token-of-more-than-20-characters"
KEY = "1 " + "ab" * 32 + "\n"

#: What is wrong, who refuses it, with which words.
WRONG = [
    ('key_file = "{tmp}/none"', "serve", "cannot read the keys in {tmp}/none"),
    ('key_file = "{tmp}/open"', "serve", "others may read the keys in {tmp}/open"),
    ("require_sealed = true", "serve", "require_sealed without a key would drop everything"),
    ('require_sealed = true\nkey_file = "{tmp}/empty"', "serve", "{tmp}/empty has none"),
    ('sealed_hosts = "db-*"', "serve", "sealed_hosts without a key"),
    ('interface = "nope0"', "serve", "there is no such interface; there are: "),
    ('listen = "203.0.113.9:6664"', "serve", "cannot listen on 203.0.113.9:6664"),
    ('listen = "127.0.0.1:6664"\nnetconsole_port = 6664', "serve", "6664 is the port of `listen`"),
    ('hook = "{tmp}/none"', "serve", "hook: {tmp}/none is not there"),
    ('hook = "{tmp}/open"', "serve", "hook: {tmp}/open may not be run"),
    ('webhook_file = "{tmp}/none"', "serve", "cannot read the address of the webhook in {tmp}/none"),
    ('webhook_file = "{tmp}/empty"', "serve", "{tmp}/empty: right is one line"),
    ('webhook_file = "{tmp}/word"', "serve", "{tmp}/word: right is one line: an http or https address"),
    ('webhook_file = "x"\nwebhook = "http://x/"', "serve", "are both set"),
    ('nats = "nats://h:1"\nnats_login = "{tmp}/none"', "serve", "cannot read the login"),
    ('web_listen = "0.0.0.0:0"', "web", "without a token"),
    ('web_token_file = "{tmp}/none"', "web", "cannot read the token in {tmp}/none"),
    ('web_token_file = "{tmp}/word"', "web", "at least 20 characters"),
    ('key_file = "{tmp}/pipe"', "serve", "cannot read the keys in {tmp}/pipe: it is a pipe"),
    ('labels = "{tmp}/pipe"', "serve", "cannot read {tmp}/pipe: it is a pipe"),
    ('alerts_file = "{tmp}/pipe"', "serve", "cannot read the rules of alerts {tmp}/pipe: it is a pipe"),
    ("web_central = true", "web", "name it in postgresql or postgresql_file"),
    ('web_central = true\npostgresql_file = "{tmp}/none"', "web", "cannot read the connection string"),
]


@pytest.fixture
def files(tmp_path):
    """Files of all kinds that settings may name."""
    for name, content, mode in (
        ("open", KEY, 0o644),
        ("keys", KEY, 0o600),
        ("empty", "# nothing\n", 0o600),
        ("word", "word\n", 0o600),
        ("token", TOKEN, 0o600),
        ("url", "https://chat.example.org/services/T0P/SECRET\n", 0o600),
    ):
        (tmp_path / name).write_text(content if name != "empty" else "\n")
        (tmp_path / name).chmod(mode)
    os.mkfifo(tmp_path / "pipe", 0o600)
    return tmp_path


@pytest.mark.parametrize(("content", "who", "words"), WRONG)
def test_check_config_refuses_what_the_start_refuses_in_the_same_words(cli, files, content, who, words):
    config = files / "c.toml"
    config.write_text(content.format(tmp=files) + f'\nstate_dir = "{files}/state"\n')
    checked, started = (
        cli(command, "--config", str(config), state_dir=None) for command in ("check-config", who)
    )
    for done in (checked, started):
        assert done.returncode in (1, 2) and words.format(tmp=files) in done.stderr, done
        assert "Traceback" not in done.stderr and "is right" not in done.stderr
    assert checked.returncode == started.returncode


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("word/below/it", "{tmp}/word is not a folder"),
        ("its-database", "panicast.db is not a file that may be"),
        ("newer", "was written by a newer panicast-receiver"),
        ("another", "is not a panicast database"),
    ],
)
def test_check_config_refuses_a_folder_in_which_the_service_does_not_start(files, cli, place, words):
    (files / "its-database/panicast.db").mkdir(parents=True)
    for name, version in (("newer", schema.VERSION + 1), ("another", 0)):
        (files / name).mkdir()
        with closing(sqlite3.connect(files / name / "panicast.db")) as db:
            db.executescript(f"PRAGMA user_version = {version}; CREATE TABLE t (c)")
    flags = ("--listen", "127.0.0.1:0", "--config", "/dev/null")
    checked, started = (
        cli(command, *flags, state_dir=files / place) for command in ("check-config", "serve")
    )
    assert (checked.returncode, started.returncode) == (1, 1), (checked, started)
    assert words.format(tmp=files) in checked.stderr


def test_check_config_of_a_damaged_and_of_an_empty_file_is_right_as_the_service_starts(cli, files):
    for content in (b"no database" * 1000, b""):
        (files / "panicast.db").write_bytes(content)
        done = cli("check-config", "--listen", "127.0.0.1:0", "--config", "/dev/null", state_dir=files)
        assert done.returncode == 0, done.stderr


def test_check_config_of_what_is_right(cli, files):
    config = files / "c.toml"
    config.write_text(
        f'key_file = "{files}/keys"\nrequire_sealed = true\nwebhook_file = "{files}/url"\ninterface = "lo"\n'
        f'web_token_file = "{files}/token"\nweb_listen = "0.0.0.0:0"\nlisten = "127.0.0.1:0"\n'
        'hook = "/bin/true"\n'
    )
    done = cli("check-config", "--config", str(config), state_dir=files / "state")
    assert done.returncode == 0 and f"{config} is right" in done.stderr, done.stderr
    assert "SECRET" not in done.stdout + done.stderr


def test_a_port_that_another_program_has_is_found_but_the_services_own_is_right(cli, serve, tmp_path):
    receiver = serve()
    listen = ("--listen", f"127.0.0.1:{receiver.port}")
    assert cli("check-config", *listen).returncode == 0
    done = cli("check-config", *listen, state_dir=tmp_path / "another")
    assert done.returncode == 1 and "the port is taken by " in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it asks as another user")
def test_root_is_told_of_what_the_services_user_may_not_read(files, monkeypatch):
    user = pwd.getpwnam("nobody").pw_name
    monkeypatch.setattr(check.folder, "USER", user)
    for place in (files, *files.parents):
        if place.owner() == "root" and str(place) != "/":
            place.chmod(place.stat().st_mode | 0o011)
    settings = load({"key_file": str(files / "keys"), "state_dir": str(files / "none")}, "/dev/null")
    with pytest.raises(ReceiverError, match=r"Permission denied \(as user nobody, like the unit"):
        check.check_config(settings)
    assert os.geteuid() == 0


def test_a_configuration_that_cannot_be_read_is_not_right(monkeypatch, tmp_path):
    unreadable = tmp_path / "receiver.toml"
    unreadable.mkdir()
    monkeypatch.setattr("panicast_receiver.settings.CONFIG_FILE", unreadable)
    with pytest.raises(UsageError, match=f"cannot read the configuration {unreadable}"):
        load({}, None)

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(unreadable), "read_bytes", denied)
    with pytest.raises(UsageError, match="Permission denied; run this as root"):
        load({}, None)
    assert load({}, None, needed=False).file is None
    monkeypatch.undo()
    monkeypatch.setattr("panicast_receiver.settings.CONFIG_FILE", tmp_path / "none")
    assert load({}, None).file is None


def test_every_setting_says_what_is_right_in_words():
    for setting in SETTINGS:
        assert setting.right not in (setting.metavar, setting.kind.__name__) and len(setting.right) > 10, (
            setting
        )


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["serve", "--idel-s", "3"], "serve does not know '--idel-s'; did you mean --idle-s?"),
        (["list", "--listen=x"], "it is a flag of serve, check-config"),
        (["list", "--type", "pnic"], "did you mean panic?"),
        (["list", "--limit", "9" * 20], "is too large"),
        (["prune", "--per-host", "9" * 9999], "is too large"),
        (["sreve"], "did you mean serve?"),
        (["frobnicate"], "right are: serve, web, list"),
        (["list", "extra"], "list does not know 'extra'"),
    ],
)
def test_wrong_words_on_the_command_line_are_answered_with_the_nearest(cli, argv, words):
    done = cli(*argv, state_dir=None)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_nothing_is_suggested_where_nothing_is_near():
    assert suggestion("xyzzy", ["idle_s", "listen"]) == ""


def test_without_raw_frames_nobody_is_warned_of_them(serve):
    drop = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw") if os.geteuid() == 0 else ()
    receiver = serve("--no-raw-frames", prefix=drop)
    receiver.wait_for("using a UDP socket")
    assert receiver.stop() == 0
    assert not [line for line in receiver.log if "raw frames" in line]
    warned = serve(prefix=drop)
    warned.wait_for("cannot receive raw frames without CAP_NET_RAW")


def test_doctor_says_what_the_service_does_not_what_its_settings_ask(serve, tmp_path):
    drop = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw") if os.geteuid() == 0 else ()
    receiver = serve(prefix=drop)
    receiver.wait_for("using a UDP socket")
    state = tmp_path / "state"
    settings = load({"listen": f"127.0.0.1:{receiver.port}"}, "/dev/null")

    def told():
        return {finding.what: finding.fix for finding in doctor.examine(settings, state)}

    found = told()
    (line,) = [what for what in found if "for a ring the service has no CAP_NET_RAW" in what]
    assert found[line] and not [what for what in found if "packets come from a ring" in what]
    receiver.stop()
    assert any("only a running service says so" in what for what in told())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a packet ring")
def test_doctor_says_that_there_is_a_ring(serve, tmp_path):
    receiver = serve()
    found = doctor.examine(load({"listen": f"127.0.0.1:{receiver.port}"}, "/dev/null"), tmp_path / "state")
    assert any("packets come from a ring" in finding.what for finding in found)
    assert json.loads((tmp_path / "state/stats.json").read_text())["capture"] == ["ring"]


def test_memory_that_does_not_fit_into_the_unit_is_said():
    unit = 1 << 30
    assert memory.warnings(load({}, "/dev/null"), unit) == []
    for key in ("memory_mib", "reserve_mib"):
        (line,) = memory.warnings(load({key: 1024}, "/dev/null"), unit)
    assert "MemoryMax=1768M" in line and "systemctl edit panicast-receiver" in line
    assert memory.warnings(load({"memory_mib": 1024, "interface": ""}, "/dev/null"), None) == []
    four = load({"interface": "a,b,c,d"}, "/dev/null")
    assert memory.needed(four) - memory.needed(load({}, "/dev/null")) == 3 * (64 + 16) << 20


def test_check_config_asks_systemd_how_much_the_unit_may_have(cli, tmp_path):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\necho 1073741824\n")
    systemctl.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    quiet = ("--listen", "127.0.0.1:0", "--config", "/dev/null")
    assert "MemoryMax" not in cli("check-config", *quiet, env=path).stderr
    assert "MemoryMax=4824M" in cli("check-config", *quiet, "--memory-mib", "4096", env=path).stderr
    systemctl.write_text("#!/bin/sh\necho infinity\n")
    assert "MemoryMax" not in cli("check-config", *quiet, "--memory-mib", "4096", env=path).stderr


def test_the_units_memory_is_enough_for_the_defaults():
    unit = (check.Path(__file__).parents[4] / "receiver/dist/panicast-receiver.service").read_text()
    assert "MemoryMax=1G\n" in unit and memory.needed(load({}, "/dev/null")) <= 1 << 30


@pytest.mark.parametrize(
    ("mode", "content", "warned"),
    [
        (0o644, 'webhook = "https://chat/x"\nwebhook_format = "chat"', True),
        (0o644, 'webhook = "https://me:hunter2@alerts/x"', True),
        (0o640, 'webhook = "https://chat/x"\nwebhook_format = "chat"', False),
        (0o644, 'webhook = "http://127.0.0.1:9093/api/v2/alerts"\nwebhook_format = "alertmanager"', False),
    ],
)
def test_a_secret_in_a_file_that_all_may_read_is_warned_of(cli, tmp_path, mode, content, warned):
    config = tmp_path / "c.toml"
    config.write_text(content + '\nlisten = "127.0.0.1:0"\n')
    config.chmod(mode)
    done = cli("check-config", "--config", str(config))
    assert done.returncode == 0 and ("webhook_file" in done.stderr) == warned, done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_a_credential_of_the_unit_is_read_by_its_name(cli, tmp_path):
    """systemd lets the unit's user read it by an access list, which looks like a right of the group's."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    for name, content in (("keys", KEY), ("chat", "https://chat.example.org/x\n"), ("token", TOKEN)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o440)
    flags = ("--key-file", "keys", "--require-sealed", "--webhook-file", "chat", "--web-token-file", "token")
    quiet = ("--listen", "127.0.0.1:0", "--config", "/dev/null")
    done = cli("check-config", *quiet, *flags, env={"CREDENTIALS_DIRECTORY": str(folder)})
    assert done.returncode == 0, done.stderr
    without = cli("check-config", *quiet, *flags)
    assert without.returncode == 1 and "root alone finds, while the unit runs" in without.stderr


def test_root_finds_the_credentials_of_units_that_run(tmp_path, monkeypatch):
    monkeypatch.delenv(secretfile.CREDENTIALS, raising=False)
    monkeypatch.setattr(secretfile, "UNITS", (tmp_path / "receiver", tmp_path / "web"))
    (tmp_path / "web").mkdir()
    (tmp_path / "web/token").write_text("line\n")
    (tmp_path / "web/token").chmod(0o440)
    assert secretfile.place("token") == tmp_path / "web/token"
    assert secretfile.read_line("token", "the token") == "line"
    assert secretfile.place("none") == check.Path("none") and secretfile.place("/x/token").parent.name == "x"


def test_a_failing_webhook_does_not_tell_its_address(serve, big):
    with held_port() as port:
        receiver = serve("--webhook", f"http://127.0.0.1:{port}/services/SECRET?token=SECRET")
        receiver.wait_for("records go to: webhook")
        receiver.send(big["frames"])
        receiver.wait_for("webhook: .*trying again")
        assert receiver.stop() == 0
    assert "SECRET" not in "".join(receiver.log)
