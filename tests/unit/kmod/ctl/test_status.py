# SPDX-License-Identifier: GPL-2.0-or-later
"""What `panicast-ctl status` says of cards, for people and for programs."""

from __future__ import annotations

import json

from ..made_up import Machine


def test_each_card_is_told_with_its_driver_and_what_to_write(machine: Machine) -> None:
    why = {
        "eth1: no link": "plug in a cable",
        "eth2: down": "sudo ip link set eth2 up",
        "usb0: a USB device": "options panicast iface=eth0,usb0 in",
        "eth3: public address 192.0.2.1": "if its segment may read this kernel's log: options",
        "eth4: netpoll: its driver can't": "its driver (slip)",
    }
    machine.load(unarmed="".join(f"{line}\n" for line in why))
    machine.driver("eth0", "e1000e")
    machine.driver("eth4", "slip")
    said = machine.ctl("status")
    assert said.code == 0 and "armed        eth0 (e1000e)\n" in said.output
    lines = said.output.splitlines()
    for line, advice in why.items():
        at = lines.index(f"not armed    {line}")
        assert advice in lines[at + 1], line


def test_a_card_is_named_beside_those_that_iface_has(machine: Machine) -> None:
    machine.load(unarmed="usb0: a USB device\n", iface="en*")
    assert "options panicast iface=en*,usb0 in" in machine.ctl("status").output


def test_status_is_one_line_of_json_for_programs(machine: Machine) -> None:
    machine.load(unarmed="eth1: no link\n", tag='back\\slash "quoted"')
    machine.driver("eth0", "e1000e")
    said = machine.ctl("status", "--json")
    status = json.loads(said.output)
    assert said.code == 0 and said.output.count("\n") == 1
    assert status["armed"] == [{"name": "eth0", "driver": "e1000e"}]
    (unarmed,) = status["not_armed"]
    assert (unarmed["name"], unarmed["why"]) == ("eth1", "no link") and "cable" in unarmed["advice"]
    assert status["settings"]["tag"] == 'back\\slash "quoted"' and status["settings"]["kib"] == "64"
    assert (status["ok"], status["loaded"], status["kdump_first"], status["key_id"]) == (True, True, False, 0)


def test_json_of_a_machine_without_the_module(machine: Machine) -> None:
    said = machine.ctl("status", "--json")
    status = json.loads(said.output)
    assert said.code == 1
    assert (status["ok"], status["loaded"], status["armed"], status["version"]) == (False, False, [], "1.2")
