# SPDX-License-Identifier: GPL-2.0-or-later
"""What `panicast-ctl status` and `doctor` say of the destinations and their next hops."""

from __future__ import annotations

import json

import pytest

from ..made_up import Machine

FOUND = "192.0.2.7 dev eth0 via 10.7.0.1 mac 02:00:00:00:00:01 age 3\n"


def test_where_records_go_is_shown(machine: Machine) -> None:
    lost = "2001:db8::7 dev eth0 via 2001:db8::1 unresolved: its next hop does not answer\n"
    machine.load(destinations=FOUND + lost)
    said = machine.ctl("status").output
    assert f"sends to     {FOUND}             {lost}" in said
    found, unresolved = json.loads(machine.ctl("status", "--json").output)["destinations"]
    assert found == {
        **{"to": "192.0.2.7", "dev": "eth0", "via": "10.7.0.1", "mac": "02:00:00:00:00:01", "age": "3"}
    }
    assert unresolved["unresolved"] == "its next hop does not answer" and unresolved["via"] == "2001:db8::1"


@pytest.mark.parametrize(
    ("rest", "advice"),
    [
        ("dev eth0 via 10.7.0.1 unresolved: its next hop does not answer", "ip neigh show dev eth0"),
        ("unresolved: there is no route to it", "ip route get 192.0.2.9"),
        ("dev br0 unresolved: its route leaves by no armed interface", "options panicast iface=eth0,br0 in"),
        ("unresolved: this kernel has no IPv6, or not loaded it", "sudo modprobe ipv6"),
        ("unresolved: it is this machine", "another address: options panicast dest="),
    ],
)
def test_doctor_tells_of_a_destination_without_a_next_hop(machine: Machine, rest: str, advice: str) -> None:
    machine.load(destinations=f"{FOUND}192.0.2.9 {rest}\n", dest="192.0.2.7,192.0.2.9")
    said = machine.ctl("doctor")
    assert said.code == 1 and "[dest-192.0.2.9]" in said.output and advice in said.output
    machine.load(destinations=FOUND, dest="192.0.2.7")
    assert machine.ctl("doctor").code == 0
