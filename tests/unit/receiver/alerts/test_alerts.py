# SPDX-License-Identifier: GPL-2.0-or-later
"""Alerts by group: an engineer gets a handful of messages, each service what its documents say."""

import email
import json
import re
import signal
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from panicast_receiver.alerts import courier, decide, formats, rules
from panicast_receiver.alerts.rules import KINDS, Rules, Target
from panicast_receiver.db import migration, schema
from panicast_receiver.errors import UsageError

from ..conftest import wait_until
from ..meaning.test_crash import OOPS, SYSRQ
from . import services
from .fleet import Fleet, now, of, story

HOSTILE = "<!channel> & \x1b[2J\u202e\n{title}"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Wait for no more."""
    monkeypatch.setattr(courier, "GATHER_S", -1.0)


@pytest.fixture
def oncall():
    """A service that takes everything."""
    with services.service() as made:
        yield made


def kinds(service):
    """What it was told, in order."""
    return [one["kind"] for one in service.taken]


def test_a_fleet_makes_a_handful_of_messages(tmp_path):
    told = story(tmp_path, 120)
    assert told.pop("all panic at once") in ({"first": 1, "tenfold": 1}, {"first": 1})
    assert told == {
        "hello": {},
        "another crash": {"first": 1},
        "it is on an old kernel": {},
        "it is back": {"regression": 1},
        "a host crashes five times": {"host": 1},
        "power cut": {"silent": 1},
    }


def test_each_thing_is_told_once(tmp_path, oncall):
    fleet = Fleet(tmp_path, oncall.url)
    fleet.store(of(1, "panic", 1, now(), SYSRQ))
    fleet.tell()
    fleet.store(of(2, "panic", 1, now(), SYSRQ), of(3, "panic", 1, now(), SYSRQ, release="6.12.7"))
    fleet.tell()
    fleet.cursor = 0
    fleet.tell()
    assert kinds(oncall) == ["first", "kernel"]
    assert oncall.taken[1]["kernel"] == "6.12.7" and "3 records of 3 hosts" in oncall.taken[1]["line"]


def test_what_was_there_before_is_not_new(tmp_path, oncall):
    old = [of(n, "panic", 1, now() - 90000, SYSRQ) for n in (1, 2)]
    with closing(migration.make(tmp_path / schema.FILE_NAME)):
        pass
    fleet = Fleet.__new__(Fleet)
    fleet.folder, fleet.rules = tmp_path, Rules()
    fleet.store(*old)
    fleet.__init__(tmp_path, oncall.url)
    fleet.store(of(3, "panic", 1, now(), SYSRQ))
    fleet.tell()
    assert kinds(oncall) == []


@pytest.mark.parametrize(
    ("action", "detail", "expected"),
    [("mute", "1h", []), ("acknowledge", "", []), ("reopen", "", ["kernel"])],
)
def test_who_looks_after_it_is_not_disturbed(tmp_path, oncall, action, detail, expected):
    fleet = Fleet(tmp_path, oncall.url)
    fleet.store(of(1, "panic", 1, now(), SYSRQ))
    fleet.tell()
    fleet.change(action, detail)
    fleet.store(of(2, "panic", 1, now(), SYSRQ, release="6.12.7"))
    fleet.tell()
    assert kinds(oncall)[1:] == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"types": ("oops",)}, []),
        ({"severities": ("critical",)}, ["first"]),
        ({"hosts": ("db-*",)}, []),
        ({"hosts": ("WEB-*",)}, ["first"]),
        ({"on": ("regression",)}, []),
    ],
)
def test_rules_choose(tmp_path, oncall, rule, expected):
    fleet = Fleet(tmp_path, oncall.url, **rule)
    fleet.store(of(1, "panic", 1, now(), SYSRQ))
    fleet.tell()
    assert kinds(oncall) == expected


def test_the_rest_is_in_a_digest(tmp_path, oncall):
    fleet = Fleet(tmp_path, oncall.url, on=("regression",), digest_hours=1e-9)
    fleet.store(of(1, "panic", 1, now(), SYSRQ), of(2, "panic", 1, now(), OOPS))
    fleet.tell()
    fleet.look()
    assert len(oncall.taken) in (1, 2)
    assert sum(len(one["more"]) for one in oncall.taken) == 2
    assert "in the last" in oncall.taken[0]["line"]


def test_a_target_that_was_away_hears_of_many_groups_in_one_message(tmp_path, oncall):
    fleet = Fleet(tmp_path, oncall.url)
    oncall.status = 503
    for n in range(courier.MANY + 2):
        fleet.store(
            of(n, "panic", 1, now(), f"<0>[ 1.0] Kernel panic - not syncing: {'abcdefgh'[n]} fails\n")
        )
    with pytest.raises(OSError, match="503"):
        fleet.tell()
    oncall.status, oncall.taken[:] = 0, []
    fleet.look()
    (told,) = oncall.taken
    assert told["line"].startswith(f"{courier.MANY + 2} alerts at once: {courier.MANY + 2} x a new crash")
    assert len(told["more"]) == courier.MANY + 2


def test_crashes_that_somebody_makes_up_are_gathered(tmp_path, oncall, monkeypatch):
    fleet = Fleet(tmp_path, oncall.url)
    work = courier._Courier(fleet.target, tmp_path)
    monkeypatch.setattr(fleet, "look", work.look)
    for n in range(courier.BUSY + 3):
        text = f"<0>[ 1.0] Kernel panic - not syncing: {'abcdefghijklmnop'[n]} fails\n"
        fleet.store(of(n, "panic", 1, now(), text))
        fleet.tell()
    assert len(oncall.taken) == courier.BUSY
    monkeypatch.setattr(courier, "GATHER_BUSY_S", -1.0)
    work.look()
    assert len(oncall.taken) == courier.BUSY + 3


def test_silent_hosts_are_told_again_when_they_are_twice_as_many(tmp_path, oncall):
    fleet = Fleet(tmp_path, oncall.url, Rules(silent_hosts=5))
    for start, end in ((0, 4), (4, 6), (6, 9), (9, 12)):
        fleet.store(*(of(n, "hello", 1, now() - 3600) for n in range(start, end)))
        fleet.tell()
    assert [one["hosts"] for one in oncall.taken] == [6, 12]
    assert oncall.taken[0]["line"].startswith("hosts are silent: 6 of 6 hosts are silent: web-00000,")


CHECKS = {
    "alertmanager": (services.alertmanager, "/api/v2/alerts"),
    "json": (services.anything, "/"),
    "slack": (services.slack, "/services/T00/B00/XX"),
    "pagerduty": (services.pagerduty, "/v2/enqueue"),
    "ntfy": (services.ntfy, "/kernels"),
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("kind", [*KINDS, "many"])
def test_each_service_gets_what_its_documents_say(tmp_path, name, kind):
    check, path = CHECKS[name]
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text("tk_secret" if name == "ntfy" else "0123456789abcdef0123456789abcdef")
    alert = {**courier.made_up("first" if kind == "many" else kind), "title": HOSTILE, "host": HOSTILE * 20}
    alert["line"] = decide.line(alert)
    if kind == "many":
        alert = courier.summary([alert] * 99, "at once")
    with services.service(check) as service:
        courier.send(Target("t", name, service.url + path, key_file=str(key)), alert, refusals=True)
        assert service.wrong == [] and len(service.taken) == 1
        told = json.dumps(service.taken, ensure_ascii=False)
        assert name == "json" or ("\u202e" not in told and "\\u001b" not in told)


def test_every_format_is_made_tested_and_explained():
    assert set(formats.FORMATS) == set(rules.FORMATS), "alerts/formats.py and alerts/rules.py differ"
    assert set(CHECKS) | {"mail"} == set(formats.FORMATS), "add a check to services.py, and to CHECKS here"
    page = (Path(__file__).parents[4] / "docs/receiver.md").read_text()
    explained = set(
        re.findall(r"^\| `(\w+)` \|", page.partition("### Alerts")[2].partition("\n### ")[0], re.M)
    )
    missing = {*formats.FORMATS, *KINDS} - explained
    assert not missing, f"add rows for {missing} to the tables of docs/receiver.md, under Alerts"


def test_a_template_makes_any_json(oncall):
    template = '{"what": "{kind} on {host}", "n": "{records}", "list": ["{nothing}", 5], "t": "{title}"}'
    alert = {**courier.made_up(), "title": '", "x": "\n{host}'}
    courier.send(Target("t", "json", oncall.url, template=template), alert)
    assert oncall.taken == [
        {"what": "first on alert-test", "n": 1, "list": ["{nothing}", 5], "t": '", "x": "\n{host}'}
    ]


def test_mail_by_sendmail(tmp_path, monkeypatch):
    program = tmp_path / "sendmail"
    program.write_text(f'#!/bin/sh\n[ "$*" = "-i -t" ] && cat > {tmp_path}/mail\n')
    program.chmod(0o755)
    alert = {**courier.made_up(), "title": "a\nBcc: eve@example.org\n\nx\u00e9"}
    alert["line"] = decide.line(alert)
    target = Target("t", "mail", to=("ann@example.org",), sendmail=str(program), sender="log@example.org")
    courier.send(target, alert)
    mail = email.message_from_bytes((tmp_path / "mail").read_bytes(), policy=email.policy.default)
    assert (mail["To"], mail["From"], mail["Bcc"]) == ("ann@example.org", "log@example.org", None)
    assert mail["Subject"].startswith("panicast: a new crash: a\\x0aBcc:")
    assert mail["Auto-Submitted"] == "auto-generated" and "x\u00e9" in mail.get_content()
    program.write_text("#!/bin/sh\necho no such user >&2; exit 67\n")
    with pytest.raises(OSError, match="ended with 67: no such user"):
        courier.send(target, alert)
    # One that hangs holds nobody up.
    program.write_text("#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(courier, "_SENDMAIL_S", 0.5)
    with pytest.raises(OSError, match=r"sendmail did not end within 0\.5 seconds"):
        courier.send(target, alert)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[[target]]\nname = 'a'\nformat = 'telex'",
            "format: what it says is wrong; right is one of",
        ),
        ("[[target]]\nname = 'a'\nformat = 'slack'", "target 1: slack needs url"),
        ("[[target]]\nformat = 'slack'", "target 1: name is missing"),
        ("[[target]]\nname = 'a'\nformat = 'mail'\nto = ['ann']", "to: what it says is wrong"),
        ("[[target]]\nname = 'a'\nformat = 'json'\nurl = 'ftp://x'", "right is an http or https address"),
        ("[[target]]\nname = 'a'\nformt = 'json'", "unknown key 'formt'; did you mean format?"),
        ("[[target]]\nname = 'a'\nformat = 'json'\nurl = 'http://x'\ntemplate = '{'", "right is JSON"),
        ("[[target]]\nname = 'a'\nformat = 'json'\nurl = 'http://x'\non = ['all']", "an array of regression"),
        ("[[target]]\nname = 'a'\nformat = ['json']", "format: what it says is wrong"),
        ("[[target]]\nname = 'a'\nformat = 'json'\nurl = 'http://x:99999'", "an http or https address"),
        ("[[target]]\nname = 'a'\nformat = 'mail'\nto = [\"a@b\\nBcc: c@d\"]", "mail addresses"),
        (f"[[target]]\nname = 'a'\nformat = 'json'\ntemplate = '{'[' * 9000}'", "right is JSON"),
        ("host_crashes = 1", "host_crashes: what it says is wrong; right is a whole number from 2"),
        ("target = 5", "right is a table [[target]] for each"),
        ("x", "is not TOML"),
    ],
)
def test_wrong_rules_say_what_is_right(tmp_path, text, words):
    (tmp_path / "alerts.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        rules.load(str(tmp_path / "alerts.toml"))
    assert words in str(error.value) and str(tmp_path) in str(error.value)


@pytest.fixture
def written(tmp_path, oncall):
    """Rules with a target whose address and key are secret."""
    for name, text in (("url", f"{oncall.url}/secret/path"), ("key", "k" * 32)):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(text)
    file = tmp_path / "alerts.toml"
    file.write_text(
        f"[[target]]\nname = 'oncall'\nformat = 'pagerduty'\nurl_file = '{tmp_path}/url'\n"
        f"key_file = '{tmp_path}/key'\n"
    )
    return file


def test_the_command_shows_and_tries_each(written, oncall, cli):
    shown = cli("alert-test", "--dry-run", "--alerts-file", str(written))
    assert shown.returncode == 0 and not oncall.taken
    assert '"routing_key": "(not shown)"' in shown.stdout and "secret/path" not in shown.stdout
    assert "kkkk" not in shown.stdout
    done = cli("alert-test", "oncall", "--alerts-file", str(written))
    assert done.returncode == 0 and "was taken" in done.stdout and len(oncall.taken) == 1
    oncall.status = 400
    refused = cli("alert-test", "--alerts-file", str(written))
    assert refused.returncode == 1 and "failed: http://127.0.0.1" in refused.stdout
    wrong = cli("alert-test", "nobody", "--alerts-file", str(written))
    assert wrong.returncode == 2 and "there are: oncall" in wrong.stderr


def test_the_service_tells(written, oncall, serve, big):
    receiver = serve("--alerts-file", str(written))
    receiver.send(big["frames"])
    wait_until(lambda: oncall.taken)
    assert oncall.taken[0]["payload"]["class"] == "first"
    assert receiver.stop() == 0


def test_what_is_no_longer_there_is_forgotten_and_what_is_there_is_not(tmp_path, oncall):
    fleet = Fleet(tmp_path, oncall.url)
    fleet.store(of(1, "panic", 1, now(), SYSRQ))
    fleet.tell()
    month = 31 * 86400 * 10**9
    with closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db:
        (signature,) = db.execute("SELECT signature FROM groups").fetchone()
        gone = [("group", "f" * 12), ("kernel", "f" * 12 + " 6.1"), ("regression", "ab"), ("host", "h")]
        db.executemany("INSERT INTO told VALUES (?, ?, 1, 1)", gone)
        decide.prune(db, time.time_ns())
        left = set(db.execute("SELECT kind, about FROM told").fetchall())
        assert left.isdisjoint(gone) and {("begun", ""), ("group", signature)} <= left
        decide.prune(db, time.time_ns() + 2 * month)
        kept = {kind for (kind,) in db.execute("SELECT kind FROM told").fetchall()}
        assert {"begun", "group", "kernel"} <= kept, "of a group that has records"
        assert db.execute("SELECT count(*) FROM alerts").fetchone() == (0,)


def test_a_reload_reads_the_rules_again(tmp_path, serve, oncall):
    file = tmp_path / "rules.toml"

    def say(name):
        file.write_text(f'[[target]]\nname = "{name}"\nformat = "json"\nurl = "{oncall.url}"\n')

    say("first_one")
    config = tmp_path / "c.toml"
    config.write_text(f'alerts_file = "{file}"\n')
    receiver = serve("--config", str(config))

    def threads():
        names = set()
        for task in Path(f"/proc/{receiver.process.pid}/task").iterdir():
            # One may end meanwhile.
            with suppress(FileNotFoundError, ProcessLookupError):
                names.add((task / "comm").read_text().strip())
        return names

    wait_until(lambda: any("first" in name for name in threads()))
    file.write_text("[[target]]\nname = 7\n")
    receiver.process.send_signal(signal.SIGHUP)
    receiver.wait_for("the settings stay as they are: .*name")
    assert any("first" in name for name in threads())
    say("other_one")
    receiver.process.send_signal(signal.SIGHUP)
    receiver.wait_for("the settings were read again$")
    wait_until(lambda: any("other" in name for name in threads()))
    wait_until(lambda: not any("first" in name for name in threads()))
    assert receiver.stop() == 0
