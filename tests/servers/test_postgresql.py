# SPDX-License-Identifier: GPL-2.0-or-later
"""The sink into PostgreSQL: what the receiver has announced is there, each record once, whatever happens to
the server meanwhile."""

from __future__ import annotations

import re
import signal

from panicast_receiver.central import merging

from .conftest import wait_until

ROWS = "SELECT replace(boot_id::text, '-', ''), event FROM panicast.records"


def test_restarts_in_mid_burst(serve, cli, burst, postgres) -> None:
    receiver = serve("--postgresql", postgres.dsn)
    receiver.wait_for("records go to: postgresql")
    panics = burst(receiver)
    panics.send(150)
    # At once, as after a crash; then in good order.
    for number in (signal.SIGQUIT, signal.SIGINT):
        said = len(receiver.log)
        postgres.kill(number)
        panics.send(100)
        receiver.wait_for("postgresql: PostgreSQL: .*; trying again until it works", since=said)
        postgres.start()
        receiver.wait_for("postgresql: works again", since=said)
        panics.send(100)

    def are_there() -> bool:
        # The server may have gone before the first of them came.
        there = postgres.ask("SELECT to_regclass('panicast.records')")[0][0]
        return bool(there) and postgres.ask(f"SELECT count(*) FROM ({ROWS}) AS r")[0][0] == 550

    wait_until(are_there, "all are there")
    assert set(postgres.ask(ROWS)) == panics.sent
    assert postgres.ask("SELECT DISTINCT text FROM panicast.records") == [(panics.text,)]
    assert receiver.stop() == 0
    # A commit whose answer the server took along is told again; so is a record whose meaning came late.
    delivered = re.search(r"postgresql delivered (\d+);", "\n".join(receiver.log[-3:]))
    assert delivered and int(delivered[1]) >= 550, receiver.log[-3:]

    postgres.ask("DELETE FROM panicast.records WHERE event > 10")
    assert cli("resend", "--sink", "postgresql", "--since", "1h").stdout.startswith("550 records")
    receiver = serve("--postgresql", postgres.dsn)
    wait_until(lambda: set(postgres.ask(ROWS)) == panics.sent, "they are there again")
    receiver.stop()


def test_two_receivers_make_one_row_of_a_panic_each_heard_a_part_of(serve, big, postgres, tmp_path) -> None:
    first = serve("--postgresql", postgres.dsn, "--idle-s", "0.2", state_dir=tmp_path / "first")
    second = serve("--postgresql", postgres.dsn, "--idle-s", "0.2", state_dir=tmp_path / "second")
    state = "SELECT complete, known, bytes, raw IS NULL, text FROM panicast.records"

    def rows():
        return postgres.ask(state) if postgres.ask("SELECT to_regclass('panicast.records')")[0][0] else []

    first.send(big["frames"][:3] + big["frames"][4:])
    wait_until(lambda: [row[:4] for row in rows()] == [(False, 6006 - 1392, 6006, False)], "a part is there")
    assert "[panicast: 1392 bytes missing]" in rows()[0][4]
    # Less does not take its place, more does, and less again does not.
    second.send(big["frames"][:2])

    def told() -> bool:
        second.process.send_signal(signal.SIGUSR1)
        second.read(1)
        return any(re.search("postgresql delivered [1-9]", line) for line in second.log)

    wait_until(told, "the second one has told of its part")
    assert [row[:4] for row in rows()] == [(False, 6006 - 1392, 6006, False)]
    second.send(big["frames"][2:])
    wait_until(lambda: rows() == [(True, 6006, 6006, True, big["text"])], "the whole is there")
    for receiver in (first, second):
        assert receiver.stop() == 0
    assert rows() == [(True, 6006, 6006, True, big["text"])]


def test_a_forged_record_of_the_same_event_is_a_row_of_its_own(serve, big, postgres, tmp_path) -> None:
    """Heard by another receiver, which knows nothing of it."""
    forged = [frame[:5] + b"\3" + frame[6:] for frame in big["frames"]]
    asked = "SELECT type, complete, contested, doubted FROM panicast.records ORDER BY type"
    for number, frames in enumerate((forged, big["frames"])):
        receiver = serve("--postgresql", postgres.dsn, state_dir=tmp_path / f"receiver-{number}")
        receiver.send(frames)
        receiver.wait_for("record .* from")

        def rows(wanted=number + 1):
            there = postgres.ask("SELECT to_regclass('panicast.records')")[0][0]
            return there and len(postgres.ask(asked)) == wanted

        wait_until(rows, "it is there")
        assert receiver.stop() == 0
    assert postgres.ask(asked) == [("panic", True, True, False), ("test", True, True, False)]


def test_tables_of_a_newer_version_are_left_alone(serve, burst, postgres) -> None:
    for step in ("CREATE SCHEMA panicast", "CREATE TABLE panicast.migrations (version integer)"):
        postgres.ask(step)
    postgres.ask(f"INSERT INTO panicast.migrations VALUES ({len(merging.MIGRATIONS) + 1})")
    receiver = serve("--postgresql", postgres.dsn)
    burst(receiver).send(1)
    receiver.wait_for("postgresql: PostgreSQL: .* newer panicast-receiver .* upgrade this one")
    receiver.stop()
