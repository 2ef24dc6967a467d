# SPDX-License-Identifier: GPL-2.0-or-later
"""What `panicast-ctl test` sends, for whose answer it waits, and what it says."""

from __future__ import annotations

import json

from ..made_up import MODULE, Machine

UNICAST = (
    "192.0.2.7 dev eth0 via 10.7.0.1 mac 52:54:00:12:34:01 age 3\n2001:db8::7 dev eth0 unresolved: no route\n"
)
HEARD = "192.0.2.7 ms 34 age 5 frames 12 restored 2 sealed log host\n"


def test_a_broadcast_is_sent_and_not_waited_for(machine: Machine) -> None:
    machine.load(destinations="255.255.255.255 everywhere\n10.1.2.255 dev eth0 mac ff:ff:ff:ff:ff:ff age 0\n")
    said = machine.ctl("test")
    assert said.code == 0 and "On the log host: panicast-receiver list" in said.output
    assert machine.read(f"{MODULE}/state/test") == "test by panicast-ctl"


def test_who_has_the_test_and_who_does_not(machine: Machine) -> None:
    machine.load(destinations=UNICAST, source_port="6665")
    machine.write(f"{MODULE}/state/heard", f"{HEARD}refused: 3\n")
    said = machine.ctl("test", "is anybody there")
    assert machine.read(f"{MODULE}/state/ask") == "is anybody there"
    assert (
        "log host (192.0.2.7) has it: it answered after 34 ms. 12 frames, of which 2 were lost" in said.output
    )
    assert "answer was sealed" in said.output and "3 datagrams were no answer" in said.output
    assert said.code == 1 and "No answer from 2001:db8::7 within 3 s. Its records go to ff:" in said.output
    assert "let UDP from its port 6664 in" in said.output and "port 6665" in said.output
    assert "No answer from 192" not in said.output


def test_all_have_the_test(machine: Machine) -> None:
    machine.load(destinations=UNICAST.splitlines(keepends=True)[0])
    machine.write(f"{MODULE}/state/heard", HEARD)
    said = machine.ctl("test")
    assert said.code == 0 and "No answer" not in said.output


def test_a_test_says_why_it_hears_nothing(machine: Machine) -> None:
    machine.load(destinations=UNICAST)
    machine.write(f"{MODULE}/state/heard", "deaf: another program has the UDP port source_port=\n")
    said = machine.ctl("test")
    assert said.code == 1 and "No answer could be heard: another program has the UDP port" in said.output


def test_a_test_that_was_too_large_is_sent_again(machine: Machine) -> None:
    machine.load(destinations=UNICAST.splitlines()[0] + " mtu 1400\n")
    said = machine.ctl("test")
    assert said.code == 1 and "takes no packets larger than 1400 bytes" in said.output


def test_waiting_is_a_choice(machine: Machine) -> None:
    machine.load()
    said = machine.ctl("test", "--wait", "everybody")
    assert machine.read(f"{MODULE}/state/ask") == "everybody"
    assert said.code == 0 and 'receivers with confirm = "always"' in said.output
    machine.load(destinations=UNICAST)
    assert machine.ctl("test", "--no-wait", "nobody").code == 0
    assert machine.read(f"{MODULE}/state/test") == "nobody"
    assert machine.ctl("test", "--never").code == 2 and machine.ctl("test", "two", "texts").code == 2


def test_status_has_who_answered_last(machine: Machine) -> None:
    machine.load(destinations=UNICAST)
    machine.write(f"{MODULE}/state/heard", HEARD)
    assert "heard by     log host (192.0.2.7), a test 5 s ago, after 34 ms" in machine.ctl("status").output
    (heard,) = json.loads(machine.ctl("status", "--json").output)["heard"]
    assert heard == {
        **{"from": "192.0.2.7", "name": "log host", "ms": 34, "age": 5},
        **{"frames": 12, "restored": 2, "sealed": True},
    }


def test_a_report_has_that_the_test_was_answered_and_by_how_many(machine: Machine) -> None:
    machine.load(destinations=UNICAST)
    machine.write(f"{MODULE}/state/heard", HEARD)
    said = machine.ctl("report")
    assert "heard by a receiver: yes (1 of 2 answered, after 34 ms)" in said.output
    assert "192.0.2.7" not in said.output and "log host" not in said.output
