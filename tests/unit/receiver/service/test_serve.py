# SPDX-License-Identifier: GPL-2.0-or-later
"""The real program over real sockets: what it announces it keeps, and what it keeps it shows."""

import itertools
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys

import pytest

from ..conftest import PATIENCE_S, wait_until


def records(cli, *flags):
    """What ``list --json`` prints."""
    done = cli("list", "--json", *flags)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_vectors_twice_over_loopback(serve, cli, vectors):
    receiver = serve()
    for _ in range(2):
        for vector in vectors:
            receiver.send(vector["frames"])
    receiver.wait_for("record [0-9a-f]{12} test from web-eu-1.example.net \\(3 frames, complete\\)")
    assert receiver.stop() == 0
    listed = {record["boot_id"]: record for record in records(cli, "--all")}
    wanted = [vector for vector in vectors if vector["key"] is None]
    assert len(listed) == len(wanted)
    for vector in wanted:
        record = listed[vector["boot_id"]]
        assert (record["type"], record["event"], record["meta"], record["complete"], record["format"]) == (
            vector["type"],
            vector["event"],
            vector["meta"],
            True,
            "v1",
        )
        assert record["older_text"] == bool(vector["flags"] & 2)
        assert cli("show", record["id"], "--raw", text=False).stdout == vector["text"].encode()
        assert json.loads(cli("show", record["id"], "--json").stdout) == {
            **record,
            "text": vector["text"],
            "raw": None,
            "places": [],
        }
    assert {record["type"] for record in records(cli)} == {"panic", "test"}
    sealed = 2 * sum(len(vector["frames"]) for vector in vectors if vector["key"])
    assert any(f"sealed, no key {sealed};" in line for line in receiver.log)


def test_lost_frames_come_back_by_parity_and_the_record_says_so(serve, cli, vectors):
    receiver = serve("--idle-s", "60")
    vector = next(vector for vector in vectors if vector["name"] == "panic with parity")
    receiver.send([*vector["frames"][2:], *map(bytes.fromhex, vector["parity"][1:])])
    receiver.wait_for(r"record [0-9a-f]{12} panic from db-07.*: .*\(6 frames, 2 restored, complete\)")
    assert receiver.stop() == 0
    (record,) = records(cli)
    assert (record["complete"], record["restored"], record["meta"]) == (True, 2, vector["meta"])
    assert cli("show", record["id"], "--raw", text=False).stdout == vector["text"].encode()
    assert re.search("^restored: +2 frames$", cli("show", record["id"]).stdout, re.M)


def test_an_announced_record_survives_kill_9(serve, cli, big):
    receiver = serve()
    receiver.send(big["frames"])
    announced = receiver.wait_for("record ([0-9a-f]{12}) panic").group(1)
    receiver.stop(signal.SIGKILL)
    (record,) = records(cli)
    assert record["id"] == announced and record["complete"]
    assert cli("show", announced, "--raw", text=False).stdout == big["text"].encode()


def test_a_late_frame_completes_a_record_after_a_restart(serve, cli, big):
    receiver = serve("--idle-s", "1")
    receiver.send(big["frames"][:3] + big["frames"][4:])
    receiver.wait_for("incomplete, 1392 of 6006 bytes missing")
    receiver.stop(signal.SIGKILL)
    (record,) = records(cli)
    assert [gap["bytes"] for gap in record["gaps"]] == [1392] and not record["complete"]
    assert "[panicast: 1392 bytes missing]" in cli("show", record["id"]).stdout
    receiver = serve("--idle-s", "1")
    receiver.send(big["frames"][3:4])
    receiver.wait_for("now complete")
    (completed,) = records(cli)
    assert completed["complete"] and completed["id"] == record["id"] and completed["gaps"] == []
    assert cli("show", record["id"], "--raw").stdout == big["text"]


def test_sigterm_keeps_what_is_in_flight(serve, cli, big):
    receiver = serve("--idle-s", "3600")
    receiver.send(big["frames"][:2])
    assert receiver.stop() == 0
    (record,) = records(cli)
    assert sum(gap["bytes"] for gap in record["gaps"]) == len(big["text"]) - (len(big["frames"][1]) - 80)


def test_sigusr1_logs_the_counters(serve):
    receiver = serve()
    receiver.send([b"garbage"])
    receiver.wait_counted("^packets 1; too short 1; in flight 0")


def test_systemd_is_told_of_start_life_and_stop(serve, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_S)
        receiver = serve(prefix=("env", f"NOTIFY_SOCKET={tmp_path / 'notify'}"))
        assert [systemd.recv(100), systemd.recv(100)] == [b"READY=1", b"WATCHDOG=1"]
        receiver.stop()
        told = b""
        while told != b"STOPPING=1":
            told = systemd.recv(100)
            assert told in (b"WATCHDOG=1", b"STOPPING=1")


def test_follow_prints_what_is_stored(serve, tmp_path, big):
    receiver = serve()
    follower = subprocess.Popen(
        [
            sys.executable,
            "-u",
            "-m",
            "panicast_receiver",
            "follow",
            "--json",
            "--state-dir",
            str(tmp_path / "state"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        # Nothing tells when follow has opened the database: send other records until one shows.
        numbers = itertools.count(1)

        def shown():
            number = next(numbers).to_bytes(4, "big")
            receiver.send([frame[:24] + number + frame[28:] for frame in big["frames"]])
            return select.select([follower.stdout], [], [], 0.5)[0]

        wait_until(shown, "follow prints a record")
        assert json.loads(follower.stdout.readline())["reason"] == "sysrq triggered crash"
    finally:
        follower.kill()
        follower.communicate()


SENDER = """
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("pc-b", 0))
def frame(protocol, text, tag=b""):
    return (b"\\xff" * 6 + bytes.fromhex("525400123456") + tag + b"\\x08\\x00" + struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + len(text), 0, 0x4000, 64, protocol, 0, bytes(4), b"\\xff" * 4) + text)
panic = b"<0>[    9.000000] Kernel panic - not syncing: sysrq triggered crash\\n"
for _ in range(3):
    s.send(frame(17, b"x" * 64))
    s.send(frame(255, panic))
s.send(frame(255, panic + b"tagged", bytes.fromhex("81000064")))
s.send(frame(255, b"x" * 1025))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes network namespaces")
def test_raw_frames_through_the_kernel_filter(serve, cli):
    """Two veth ends in a network namespace of its own; UDP must not come through the packet socket."""
    script = (
        "ip link set lo up && ip link add pc-a type veth peer name pc-b && ip link set pc-a up && "
        'ip link set pc-b up && exec "$@"'
    )
    receiver = serve("--interface", "pc-a,lo", prefix=("unshare", "--net", "sh", "-c", script, "sh"))
    inside = ("nsenter", f"--net=/proc/{receiver.process.pid}/ns/net")
    subprocess.run([*inside, sys.executable, "-c", SENDER], check=True, timeout=PATIENCE_S)
    receiver.wait_for("record .* panic from 52:54:00:12:34:56: sysrq triggered crash")
    receiver.wait_counted("^packets 5;")
    assert receiver.stop() == 0
    found = records(cli)
    assert {
        (
            record["format"],
            record["type"],
            record["source"]["mac"],
            record["source"]["iface"],
            record["reason"],
        )
        for record in found
    } == {("raw", "panic", "52:54:00:12:34:56", "pc-a", "sysrq triggered crash")}
    assert sorted(record["bytes"] for record in found) == [68, 74]
    counted = [line for line in receiver.log if line.startswith("packets ")][-1]
    assert "packets 5; duplicate 2; raw text empty or too long 1; records new 2" in counted
