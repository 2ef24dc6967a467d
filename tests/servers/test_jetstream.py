# SPDX-License-Identifier: GPL-2.0-or-later
"""The sink into a JetStream cluster and ``collect`` from it into PostgreSQL: each node is killed in turn, and
what the receiver has announced arrives, each record once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import nats
import pytest

from .conftest import PASSWORD, PATIENCE_S, wait_until

ROWS = "SELECT replace(boot_id::text, '-', ''), event FROM panicast.records"


@pytest.fixture
def collect(cluster, postgres, folder):
    """``panicast-receiver collect`` as a process; its log is a file."""
    log = folder / "collect.log"
    flags = [*cluster.flags, "--postgresql", postgres.dsn]
    argv = [sys.executable, "-m", "panicast_receiver", "collect", *flags]
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            running.append(subprocess.Popen(argv, stderr=file))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


async def _stream(servers: str) -> nats.js.api.StreamInfo:
    client = await nats.connect(servers.split(","), user="panicast", password=PASSWORD)
    info = await client.jetstream().stream_info("PANICAST")
    await client.close()
    return info


def test_each_node_killed_in_turn(serve, burst, cluster, postgres, collect, folder: Path) -> None:
    receiver = serve(*cluster.flags)
    receiver.wait_for("records go to: nats")
    collector = collect()
    panics = burst(receiver)
    panics.send(50)
    wait_until(lambda: postgres.ask("SELECT to_regclass('panicast.records')")[0][0], "it collects")
    for node in cluster.nodes:
        node.kill()
        panics.send(50)
        node.start()
        panics.send(20)
        cluster.wait()
    # So is who carries them from there to there, and the database.
    collector.kill()
    collector.wait()
    panics.send(50)
    postgres.restart(signal.SIGQUIT)
    collector = collect()
    panics.send(50)
    wait_until(lambda: len(postgres.ask(ROWS)) == len(panics.sent), "all were collected")
    assert set(postgres.ask(ROWS)) == panics.sent
    assert postgres.ask("SELECT DISTINCT text FROM panicast.records") == [(panics.text,)]
    assert receiver.stop() == 0
    # A message for each, though batches were published again.
    info = asyncio.run(_stream(cluster.servers))
    assert info.state.messages == len(panics.sent)
    assert info.config.num_replicas == 3
    collector.send_signal(signal.SIGTERM)
    assert collector.wait(PATIENCE_S) == 0
    assert "Traceback" not in (folder / "collect.log").read_text()


def test_who_has_no_login_is_told_so(serve, burst, cluster) -> None:
    receiver = serve("--nats", cluster.servers)
    burst(receiver).send(1)
    receiver.wait_for(
        "nats: no server of .* takes us: .*Authorization Violation.*; trying again until it works"
    )
    receiver.stop()
