# SPDX-License-Identifier: GPL-2.0-or-later
"""The sink into a JetStream cluster and ``collect`` from it into PostgreSQL: each node is killed in turn, and
what the receiver has announced arrives, each record once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import nats
import pytest
import zstandard

from panicast_receiver.sinks.broker import HOSTS, RECORDS
from panicast_receiver.wire.v1 import encode

from ..unit.receiver.sinks.test_stores import DOCUMENT
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
    # Streams and consumers were made just now: each node has to have them before one of them is killed.
    cluster.wait()
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


def hello(host: str, boot: bytes, type: str = "hello", event: int = 1) -> list[bytes]:
    told = f"host={host}\nrelease=6.12.9\niface=eth0\nmac=52:54:00:00:00:01\nreason=reboot\n"
    return encode(type, boot * 16, event, time.time_ns(), host, told.encode(), b"")


def test_hosts_are_known_by_what_receivers_publish(serve, cluster, postgres, collect, tmp_path) -> None:
    receivers = [serve(*cluster.flags, state_dir=tmp_path / name) for name in "ab"]
    for receiver in receivers:
        receiver.wait_for("records go to: nats")
        receiver.send([*hello("db-01", b"\1"), *hello("db-02", b"\2")])
    collector = collect()
    known = "SELECT host, state, why, last_ns > first_ns FROM panicast.boots ORDER BY host"
    wait_until(lambda: postgres.ask("SELECT to_regclass('panicast.boots')")[0][0], "it collects")
    wait_until(lambda: len(postgres.ask(known)) == 2, "both hosts are known")
    # While nobody collects, the stream keeps what is said.
    collector.kill()
    collector.wait()
    receivers[1].send(hello("db-02", b"\2", "bye", 2))
    receivers[0].send(hello("db-01", b"\1", event=2))
    collect()
    wanted = [("db-01", "hello", "", True), ("db-02", "bye", "reboot", True)]
    wait_until(lambda: postgres.ask(known) == wanted, "what was said last is known")
    assert postgres.ask("SELECT count(*) FROM panicast.records") == [(0,)]


async def _publish(cluster, messages) -> None:
    client = await nats.connect(cluster.servers.split(","), user="panicast", password=PASSWORD)
    stream = client.jetstream()
    for kind, data in messages:
        packed = zstandard.ZstdCompressor().compress(data)
        await stream.publish(kind.subjects.replace("*", "test"), packed, headers={"Content-Encoding": "zstd"})
    await client.close()


def test_what_is_collected_at_once_is_limited(cluster, postgres, collect, folder: Path) -> None:
    """Each message has 15 MiB of text, in a few KiB; and some nobody could read."""
    collector = collect()
    wait_until(lambda: "records are collected" in (folder / "collect.log").read_text(), "it runs")
    text = "<6>[    0.000000] all is well\n" * (15 << 20 >> 5)
    documents = [
        json.dumps({**DOCUMENT, "identity": f"{number:064x}", "id": f"{number:012x}", "text": text}).encode()
        for number in range(8)
    ]
    wrong = [json.dumps(told).encode() for told in ({}, [{"host": "x"}], [[]], [{}] * 2000)]
    messages = [(RECORDS, document) for document in documents] + [(HOSTS, told) for told in wrong]

    def publish() -> bool:
        try:
            asyncio.run(_publish(cluster, messages))
        except nats.js.errors.NoStreamResponseError:
            return False
        return True

    wait_until(publish, "both streams are there")
    count = "SELECT count(*) FROM panicast.records"
    wait_until(lambda: postgres.ask("SELECT to_regclass('panicast.records')")[0][0], "it collects")
    wait_until(lambda: postgres.ask(count) == [(len(documents),)], "all are collected")
    wait_until(lambda: "is not about hosts" in (folder / "collect.log").read_text(), "it says what is wrong")
    status = Path(f"/proc/{collector.pid}/status").read_text()
    (peak,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    assert peak < 250 << 10, f"{peak >> 10} MiB"
    assert "Traceback" not in (folder / "collect.log").read_text()
