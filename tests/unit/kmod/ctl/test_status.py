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
        "eth5: leads to a switch chip (DSA), whose ports send by it": "name ports of the switch in iface=",
        "eth6: PPP has a public IPv4 address": "seal records: panicast-ctl key",
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


def test_cards_that_the_kernel_has_no_room_for_are_counted(machine: Machine) -> None:
    machine.load(armed=("eth0", "and 3 more"), unarmed="usb0: a USB device\nand 12 more\n")
    said = machine.ctl("status").output
    titles = [line[:13] for line in said.splitlines() if " more, for which " in line]
    assert titles == ["armed        ", "not armed    "]
    assert "armed        and 3 more" in said and "not armed    and 12 more" in said
    assert "options panicast iface=eth0,usb0 in" in said
    status = json.loads(machine.ctl("status", "--json").output)
    assert (status["armed_more"], status["not_armed_more"]) == (3, 12)
    assert [card["name"] for card in (*status["armed"], *status["not_armed"])] == ["eth0", "usb0"]


def test_json_of_a_machine_without_the_module(machine: Machine) -> None:
    said = machine.ctl("status", "--json")
    status = json.loads(said.output)
    assert said.code == 1
    assert (status["ok"], status["loaded"], status["armed"], status["version"]) == (False, False, [], "1.2")
