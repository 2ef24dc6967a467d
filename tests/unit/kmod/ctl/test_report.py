# SPDX-License-Identifier: GPL-2.0-or-later
"""What `panicast-ctl report` contains, and what it leaves out."""

from __future__ import annotations

import pytest

from ..made_up import MODULE, Machine


def test_a_report_has_what_is_asked_for_and_no_address(machine: Machine) -> None:
    machine.load(unarmed="eth1: no link\n", dest="192.0.2.77")
    machine.driver("eth0", "ice")
    machine.command("ethtool", 'echo "firmware-version: 4.30 0x8001"')
    machine.write("dmesg", "[9.0] panicast: test: 12 frames sent\n")
    machine.write("sys/class/net/eth0/device/vendor", "0x8086\n")
    machine.write("sys/class/net/eth0/device/device", "0x159b\n")
    said = machine.ctl("report")
    assert said.code == 0
    assert "| eth0 | ice | 8086:159b | 4.30 0x8001 |  |" in said.output
    assert "not armed: no link" in said.output
    assert "12 frames sent" in said.output and "192.0.2.77" not in said.output
    word = machine.read(f"{MODULE}/state/test")
    assert f"unknown here; on the log host run: panicast-receiver list --search {word}" in said.output


@pytest.mark.parametrize("heard", [True, False])
def test_a_receivers_page_is_asked_for_the_test(machine: Machine, heard: bool) -> None:
    machine.load()
    machine.command("sleep", "exit 0")
    page = f'printf \'{{"reason": "%s"}}\' "$(cat {machine.root}/{MODULE}/state/test)"'
    machine.command("curl", f'echo "$*" > {machine.root}/asked; {page if heard else "echo []"}')
    said = machine.ctl("report", "http://log:6680/")
    word = machine.read(f"{MODULE}/state/test")
    assert f"http://log:6680/api/v1/records?search={word}" in machine.read("asked")
    assert "http://log" not in said.output
    assert ("heard by a receiver: yes" if heard else "heard by a receiver: no, not within") in said.output


def test_the_report_asks_only_web_pages(machine: Machine) -> None:
    assert machine.ctl("report", "-o/etc/passwd").code == 2
