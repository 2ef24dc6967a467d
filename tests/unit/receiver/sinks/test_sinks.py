# SPDX-License-Identifier: GPL-2.0-or-later
"""Sinks and their settings: how they are chosen, named and told."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from panicast_receiver import sinks
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.errors import UsageError
from panicast_receiver.settings import load
from panicast_receiver.sinks.cursors import begin
from panicast_receiver.sinks.hook import Hook
from panicast_receiver.sinks.syslog import message
from panicast_receiver.sinks.telling import notice_of as tell

from ..db.test_fleet import record
from ..meaning.test_crash import SYSRQ
from .conftest import write
from .test_webhook import Server


@pytest.mark.parametrize(
    "flags", [{"syslog": "udp:h"}, {"syslog": "sctp:h:1"}, {"webhook": "file:///etc/passwd"}, {"hook": "x"}]
)
def test_wrong_settings(tmp_path, flags):
    config = tmp_path / "c.toml"
    config.write_text("".join(f'{key} = "{value}"\n' for key, value in flags.items()))
    with pytest.raises(UsageError):
        load({}, str(config))


def test_resend_names_the_sinks_that_there_are(store, tmp_path, cli):
    write(store, record("panic", "a", 1, 1, 0, SYSRQ))
    for name in ("recorder", "webhook"):
        begin(store._db, name)
    done = cli("resend", "--sink", "nope", "--since", "1h", state_dir=tmp_path)
    assert done.returncode == 1 and "no sink 'nope'" in done.stderr
    assert done.stderr.rstrip().endswith("known sinks: recorder, webhook")


def test_the_service_tells_its_sinks(serve, big):
    with closing(Server(503)) as server:
        receiver = serve("--webhook", server.url)
        receiver.wait_for("records go to: webhook")
        receiver.send(big["frames"])
        receiver.wait_for("webhook: .*503.*; trying again")
        receiver.wait_for("webhook: works again")
        assert receiver.stop() == 0
    # Once more where its meaning came late.
    assert {got["reason"] for got in server.posted} == {"sysrq triggered crash"}
    assert any(re.search("webhook delivered [12]", line) for line in receiver.log)


def test_what_is_told_has_bounds(store, tmp_path):
    text = "<0>[    1.0] Kernel panic - not syncing: " + "A" * 140_000 + "\n"
    long = record("panic", "h" * 1000, 1, 1, 0, text)
    write(store, long)
    with closing(Reader(tmp_path)) as reader:
        (entry,) = reader.select(Query())
        told = tell(reader, entry)
    assert len(told.line) < 1200 and len(told.record["title"].encode()) <= 512
    assert len(told.record["host"]) <= 255 and told.record["text"] == text
    assert len(message(told)) < 3000
    Hook("/bin/true").deliver([told])


def test_each_sink_can_be_chosen():
    """A sink that no setting leads to delivers nothing."""
    folder = Path(sinks.__file__).parent
    a_sink = re.compile(r"^class (\w+)\b(?:(?!^class ).)*^    def deliver\(", re.MULTILINE | re.DOTALL)
    found = [name for path in folder.glob("[!_]*.py") for name in a_sink.findall(path.read_text())]
    chosen = (folder / "choice.py").read_text()
    assert len(found) >= 6 and [name for name in found if f"sinks.append({name}(" not in chosen] == []
