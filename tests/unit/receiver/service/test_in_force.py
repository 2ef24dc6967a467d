# SPDX-License-Identifier: GPL-2.0-or-later
"""Every setting that a reload applies is in force after it, and says so where it is not."""

import contextlib
import logging
import os
import signal
from types import SimpleNamespace

import pytest

from panicast_receiver import log
from panicast_receiver.assembly.intake import Intake
from panicast_receiver.assembly.reassembly import Limits
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.retention import Retention
from panicast_receiver.db.store import Store
from panicast_receiver.service import supervisor
from panicast_receiver.service.answerer import Answerer
from panicast_receiver.service.committer import Committer
from panicast_receiver.service.handoff import Handoff
from panicast_receiver.service.listener import Listener
from panicast_receiver.settings import SERVE, load


@pytest.fixture
def service(tmp_path, monkeypatch):
    """The parts of a service whose threads do not run, and what reloads it with another file."""
    (tmp_path / "keys").touch(0o600)
    (tmp_path / "keys").write_text(f"7 {'0a' * 32}\n")
    (tmp_path / "labels").write_text("* rack=r7\n")
    config = tmp_path / "receiver.toml"
    config.write_text("")

    def reread():
        return load({}, str(config))

    with contextlib.closing(Store(tmp_path)) as store:
        handoff = Handoff()
        intake = Intake(Limits(), 60)
        told = []
        parts = SimpleNamespace(
            intake=intake,
            store=store,
            told=told,
            committer=Committer(handoff, store),
            answerer=Answerer(None, 0),
        )
        parts.supervisor = supervisor._Supervisor(
            *(tmp_path, Listener([], intake, handoff), parts.committer, parts.answerer, reread()),
            *(reread, dict, lambda *more: told.append(more)),
        )
        monkeypatch.setattr(parts.supervisor, "_notifier", SimpleNamespace(notify=lambda said: None))

        def reload(lines):
            config.write_text(lines.replace("HERE", str(tmp_path)))
            parts.supervisor._reload()

        parts.reload = reload
        level = log.logger.level
        yield parts
        log.logger.setLevel(level)


def limits(one):
    return one.intake.reassembler.limits


#: By the setting: a line of the file, and where what it says is in force.
ROWS = {
    "idle_s": ("idle_s = 2.5", lambda one: {limits(one).idle_s, one.intake._netconsole.idle_s}, {2.5}),
    "memory_mib": ("memory_mib = 8", lambda one: limits(one).memory, 8 << 20),
    "max_in_flight": ("max_in_flight = 9", lambda one: limits(one).records, 9),
    "max_text_kib": ("max_text_kib = 10", lambda one: limits(one).text, 10 << 10),
    "raw_window_s": ("raw_window_s = 3.5", lambda one: one.intake._raw.window_s, 3.5),
    "key_file": ("key_file = 'HERE/keys'", lambda one: [*one.intake.keys, *one.answerer.keys], [7, 7]),
    "require_sealed": (
        *("key_file = 'HERE/keys'\nrequire_sealed = true", lambda one: one.intake.require_sealed, True),
    ),
    "sealed_hosts": (
        "key_file = 'HERE/keys'\nsealed_hosts = 'db-*, web'",
        lambda one: [*one.intake.sealed_hosts, *one.store.sealed_hosts],
        ["db-*", "web"] * 2,
    ),
    "confirm": ("confirm = 'never'", lambda one: one.answerer.confirm, "never"),
    "source_records_per_minute": (
        *("source_records_per_minute = 11", lambda one: one.intake.rates.sources.per_minute, 11),
    ),
    "mac_records_per_minute": (
        *("mac_records_per_minute = 12", lambda one: one.intake.rates.macs.per_minute, 12),
    ),
    "records_per_host": (
        *("records_per_host = 13", lambda one: one.committer._retention, Retention(per_host=13)),
    ),
    "keep_days": ("keep_days = 14.5", lambda one: one.committer._retention.days, 14.5),
    "keep_mib": ("keep_mib = 15", lambda one: one.committer._retention.size, 15 << 20),
    "silent_s": ("silent_s = 16.5", lambda one: supervisor._ages(one.told[-1][0]), Ages(16.5, 90.0)),
    "retire_days": ("retire_days = 17.5", lambda one: supervisor._ages(one.told[-1][0]), Ages(900.0, 17.5)),
    "labels": ("labels = 'HERE/labels'", lambda one: len(one.told[-1][2].rules), 1),
    "log_level": ("log_level = 'warning'", lambda one: log.logger.level, logging.WARNING),
    "stats_s": ("stats_s = 18.5", lambda one: one.supervisor._settings.stats_s, 18.5),
}


def test_every_setting_that_a_reload_applies_has_a_row():
    assert list(ROWS) == [one.key for one in SERVE if one.live]


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_what_a_reload_applies_is_in_force_and_gone_when_the_file_no_longer_says_it(service, row):
    line, where, wanted = row
    service.reload("")
    before = where(service)
    assert before != wanted
    service.reload(line)
    assert where(service) == wanted
    service.reload("")
    assert where(service) == before


@pytest.mark.parametrize(
    "wrong",
    [
        *("idle_s = 0", "key_file = '/nowhere'", "labels = '/nowhere'"),
        # Without a key they would drop everything.
        *("require_sealed = true", "sealed_hosts = 'a'"),
    ],
)
def test_of_a_file_that_is_wrong_nothing_is_in_force(service, wrong):
    service.reload("source_records_per_minute = 11\nlog_level = 'notice'")
    service.reload(f"source_records_per_minute = 12\nlog_level = 'warning'\n{wrong}")
    assert service.intake.rates.sources.per_minute == 11 and log.logger.level == log.NOTICE
    assert service.supervisor._settings.source_records_per_minute == 11 and len(service.told) == 1


def test_what_needs_a_restart_is_said_until_it_is_as_at_the_start(service, caplog):
    said = []
    for lines in ("spill_mib = 1", "spill_mib = 1\nidle_s = 2", "idle_s = 2"):
        caplog.clear()
        service.reload(lines)
        said.append(caplog.messages[-1])
    assert ["spill_mib" in one for one in said] == [True, True, False]


def test_counters_are_logged_as_often_as_the_new_settings_say(service, monkeypatch, caplog):
    """Not only after the time of the old ones, which may be an hour."""
    signals = [SimpleNamespace(si_signo=signal.SIGHUP), None, SimpleNamespace(si_signo=signal.SIGTERM)]
    monkeypatch.setattr(supervisor.signal, "sigtimedwait", lambda numbers, seconds: signals.pop(0))
    monkeypatch.setattr(supervisor.stats, "line", lambda counts: "the counters")
    monkeypatch.setattr(supervisor.stats, "write", lambda folder, counts: None)
    monkeypatch.setattr(service.supervisor, "_reread", lambda: load({"stats_s": 1e-9}, os.devnull))
    for part in (service.supervisor._listener, service.committer):
        for name in ("stop", "join"):
            monkeypatch.setattr(part, name, lambda: None)
        monkeypatch.setattr(part, "is_alive", lambda: True)
    assert service.supervisor.run()
    # The last one is of the end.
    assert caplog.messages.count("the counters") == 2


def test_what_keeps_records_from_being_stored_is_shown_until_it_is_over(service, monkeypatch):
    said = []
    monkeypatch.setattr(service.supervisor, "_notifier", SimpleNamespace(notify=said.append))
    for trouble in ("", "no room", "no room", "", ""):
        service.committer.trouble = trouble
        service.supervisor._say_state()
    assert said == ["STATUS=no room", "STATUS="]
