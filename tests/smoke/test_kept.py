# SPDX-License-Identifier: GPL-2.0-or-later
"""What memory or kdump kept of a crash that no network heard is sent by the next boot, once."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from panicast_build.crash import guest, verdict
from panicast_build.crash.cases import Case
from panicast_build.smoke import uefi
from panicast_build.targets import distros
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store

from ..kits import stock

# Firmware and kernel leave alone what the command line reserves.
CRASHED = Case(
    name="kept",
    modules=("libchacha20poly1305", "ramoops"),
    append="memmap=1M$0x18000000",
    setup="""
        rmmod ramoops
        insmod /ramoops.ko mem_address=0x18000000 mem_size=0x100000 record_size=0x4000
    """,
    load="insmod /panicast_seal.ko && insmod /panicast.ko key_id=7 key=$(cat /key)",
    # The network is cut.
    after="ip link set eth0 down",
    life=600,
    sealed=True,
    record="none",
)
# The second time, there is nothing new; nor is there when the state was written half.
NEXT_BOOT = replace(
    CRASHED,
    after="""
        mkdir -p /tmp /var/crash/2026-11-30 /var/crash/others
        mount -t pstore pstore /sys/fs/pstore
        ls -l /sys/fs/pstore > /dev/console
        (echo '[    0.000000] Linux'; cat /sys/fs/pstore/dmesg-*) > /var/crash/2026-11-30/vmcore-dmesg.txt
        cp /var/crash/2026-11-30/vmcore-dmesg.txt /var/crash/others/
        chmod 777 /var/crash/others
        panicast-ctl kept > /dev/console 2>&1
        echo half > /var/lib/panicast-ctl/kept.new
        panicast-ctl kept > /dev/console 2>&1
    """,
    command="reboot -f",
)


def by_memory(client: docker.DockerClient) -> tuple[guest.Outcome, guest.Outcome]:
    return guest.keep(stock(client, "6.1"), "virtio-net-pci", CRASHED, NEXT_BOOT)


@pytest.mark.lives.with_args(by_memory)
def test_what_was_kept_arrives_once(lived: tuple[guest.Outcome, guest.Outcome], tmp_path: Path) -> None:
    crashed, next_boot = lived
    assert not verdict.fault(CRASHED, crashed), str(crashed)
    said = re.search("last words sent: boot ([0-9a-f]{32}), event [0-9]+, 0 frames", crashed.console)
    assert said, str(crashed)
    found = [one for one in verdict.records(next_boot.frames, sealed=True) if one.type == "panic"]
    assert [one.kept for one in found] == ["pstore", "kdump"], str(next_boot)
    assert next_boot.console.count("Sent what ") == 2 and "Nothing new was kept" in next_boot.console
    for record in found:
        assert record.complete and record.boot_id and record.boot_id.hex() == said[1], str(next_boot)
        assert record.reason == "sysrq triggered crash" and record.time_ns
    with closing(Store(tmp_path)) as store:
        store.write(found)
    (entry,) = Reader(tmp_path).select(Query(folded=True))
    assert {entry.summary["id"], *entry.summary["same_crash"]} == {one.id for one in found}


# The network is there: the record arrives, and the firmware has the crash too.
BY_FIRMWARE = Case(name="kept-efi", modules=("efi_pstore",), life=600)
NEXT_BOOT_BY_FIRMWARE = replace(
    BY_FIRMWARE,
    after="""
        mkdir -p /tmp
        mount -t pstore pstore /sys/fs/pstore
        ls -l /sys/fs/pstore > /dev/console
        panicast-ctl kept > /dev/console 2>&1
        panicast-ctl kept > /dev/console 2>&1
    """,
    command="reboot -f",
)


def by_firmware(client: docker.DockerClient) -> tuple[guest.Outcome, guest.Outcome]:
    made = stock(client, "6.12")
    firmware = uefi.chain(client, distros.get("debian-12"))
    return guest.keep(made, "virtio-net-pci", BY_FIRMWARE, NEXT_BOOT_BY_FIRMWARE, firmware)


@pytest.mark.nightly
@pytest.mark.lives.with_args(by_firmware)
def test_what_uefi_firmware_kept_is_one_crash_with_what_the_network_brought(
    lived: tuple[guest.Outcome, guest.Outcome], tmp_path: Path
) -> None:
    crashed, next_boot = lived
    assert not verdict.fault(BY_FIRMWARE, crashed), str(crashed)
    (sent,) = (one for one in verdict.records(crashed.frames) if one.type == "panic")
    found = [one for one in verdict.records(next_boot.frames) if one.type == "panic"]
    assert [(one.kept, one.complete, one.boot_id) for one in found] == [("pstore", True, sent.boot_id)], str(
        next_boot
    )
    assert next_boot.console.count("Sent what ") == 1 and "Nothing new was kept" in next_boot.console
    with closing(Store(tmp_path)) as store:
        store.write([sent, *found])
    (entry,) = Reader(tmp_path).select(Query(folded=True))
    assert {entry.summary["id"], *entry.summary["same_crash"]} == {sent.id, found[0].id}
