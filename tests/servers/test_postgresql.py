# SPDX-License-Identifier: GPL-2.0-or-later
"""The sink into PostgreSQL: what the receiver has announced is there, each record once, whatever happens to
the server meanwhile."""

from __future__ import annotations

import signal

from .conftest import wait_until

ROWS = "SELECT replace(boot_id::text, '-', ''), event FROM panicast.records"


def test_restarts_in_mid_burst(serve, cli, burst, postgres) -> None:
    receiver = serve("--postgresql", postgres.dsn)
    receiver.wait_for("records are told to: postgresql")
    panics = burst(receiver)
    panics.send(150)
    # At once, as after a crash; then in good order.
    for number in (signal.SIGQUIT, signal.SIGINT):
        postgres.kill(number)
        panics.send(100)
        receiver.wait_for("postgresql: PostgreSQL: .*; trying again until it works")
        postgres.start()
        panics.send(100)
    wait_until(lambda: postgres.ask(f"SELECT count(*) FROM ({ROWS}) AS r")[0][0] == 550, "all are there")
    assert set(postgres.ask(ROWS)) == panics.sent
    assert postgres.ask("SELECT DISTINCT text FROM panicast.records") == [(panics.text,)]
    assert receiver.stop() == 0
    assert any("postgresql delivered 550" in line for line in receiver.log), receiver.log[-3:]

    postgres.ask("DELETE FROM panicast.records WHERE event > 10")
    assert cli("resend", "--sink", "postgresql", "--since", "1h").stdout.startswith("550 records")
    receiver = serve("--postgresql", postgres.dsn)
    wait_until(lambda: set(postgres.ask(ROWS)) == panics.sent, "they are there again")
    receiver.stop()
