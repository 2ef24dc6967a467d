# SPDX-License-Identifier: GPL-2.0-or-later
"""What panicast-ctl sends of crashes that firmware or kdump kept, and what it leaves alone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from ..conftest import KMOD
from ..made_up import Machine

PSTORE, MOVED, DUMPS = "sys/fs/pstore", "var/lib/systemd/pstore", "var/crash"
STATE = "var/lib/panicast-ctl/kept"
BOOT = "00ff0080" * 4
SAID = f"<0>[9.1] panicast: last words sent: boot {BOOT}, event 7, 96 frames\n"
END = "===\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.load()
    for folder in (PSTORE, MOVED, DUMPS):
        (made.root / folder).mkdir(parents=True)
    made.write("dev/panicast", "")
    # As the device does: one write is one record.
    made.command("dd", f'cat "${{1#if=}}" >> {made.root}/sent && printf "{END}" >> {made.root}/sent')
    return made


def part(machine: Machine, name: str, header: str, text: str, at: int = 1_900_000_000) -> Path:
    """A part of a dump, written then."""
    file = machine.write(f"{PSTORE}/{name}" if "/" not in name else name, f"{header}\n{text}")
    os.utime(file, (at, at))
    return file


def sent(machine: Machine) -> list[tuple[dict[str, str], str]]:
    """The lines and the text of each record."""
    path = machine.root / "sent"
    found = []
    for message in path.read_text(errors="replace").split(END)[:-1] if path.exists() else ():
        lines, text = message.split("\n\n", 1)
        found.append((dict(line.split("=") for line in lines.splitlines()), text))
    return found


def test_parts_are_joined_from_the_oldest_and_sent_once(machine: Machine) -> None:
    part(machine, "dmesg-efi-1", "Panic#2 Part1", f"newest\n{SAID}")
    part(machine, "dmesg-efi-2", "Panic#2 Part2", "middle\n")
    part(machine, "dmesg-efi-10", "Panic#2 Part10", "oldest\n")
    said = machine.ctl("kept")
    assert said.code == 0 and "Sent what pstore kept of a crash on " in said.output
    ((lines, text),) = sent(machine)
    assert text == f"oldest\nmiddle\nnewest\n{SAID}"
    assert lines == {"type": "panic", "kept": "pstore", "time": "1900000000", "boot": BOOT}
    # systemd-pstore moves them.
    (machine.root / MOVED).rmdir()
    (machine.root / PSTORE).rename(machine.root / MOVED)
    said = machine.ctl("kept")
    assert said.code == 0 and "Nothing new" in said.output and len(sent(machine)) == 1


def test_two_dumps_with_one_number_are_two(machine: Machine) -> None:
    for hour, word in enumerate(("first", "second")):
        at = 1_900_000_000 + 3600 * hour
        part(machine, f"dmesg-ramoops-{2 * hour}", "Panic#1 Part1", f"end of the {word}\n", at)
        part(machine, f"dmesg-ramoops-{2 * hour + 1}", "Panic#1 Part2", f"{word}\n", at + 1)
    assert machine.ctl("kept").code == 0
    assert [text for _, text in sent(machine)] == ["first\nend of the first\n", "second\nend of the second\n"]


def test_an_oops_is_sent_unless_it_ended_in_a_panic(machine: Machine) -> None:
    part(machine, "dmesg-efi-1", "Oops#1 Part1", "survived\n", 1_900_000_000)
    part(machine, "dmesg-efi-2", "Oops#2 Part1", "did not\n", 1_900_005_000)
    part(machine, "dmesg-efi-3", "Panic#3 Part1", "panic\n", 1_900_005_001)
    part(machine, "dmesg-efi-4", "Shutdown#4 Part1", "orderly\n", 1_900_009_000)
    assert machine.ctl("kept").code == 0
    assert [(lines["type"], text) for lines, text in sent(machine)] == [
        ("oops", "survived\n"),
        ("panic", "panic\n"),
    ]


@pytest.mark.parametrize(
    "path", ["127.0.0.1-2026-11-30/vmcore-dmesg.txt", "202611300512/dmesg.202611300512", "2026/dmesg.txt"]
)
def test_what_kdump_left(machine: Machine, path: str) -> None:
    text = f"[ 0.1] panicast: boot {BOOT}\nKernel panic\n"
    machine.write(f"{DUMPS}/{path}", text)
    machine.write(f"{DUMPS}/{path.partition('/')[0]}/vmcore", "not text")
    assert machine.ctl("kept").code == 0
    ((lines, found),) = sent(machine)
    assert (lines["kept"], lines["boot"], found) == ("kdump", BOOT, text)


def test_a_boot_that_is_not_named_is_not_guessed(machine: Machine) -> None:
    part(machine, "dmesg-efi-1", "Panic#1 Part1", f"panicast: last words sent: boot {'0' * 32}, event 0\n")
    assert machine.ctl("kept").code == 0
    assert "boot" not in sent(machine)[0][0]


# Hostile, damaged, huge


def test_only_what_root_alone_can_have_made_is_read(machine: Machine, tmp_path: Path) -> None:
    """On Ubuntu everybody may write to /var/crash."""
    secret = tmp_path / "shadow"
    secret.write_text("root:secret\n")
    for name in ("link", "hard", "open", "folder", "behind"):
        (machine.root / DUMPS / name).mkdir()
    (machine.root / DUMPS / "link/vmcore-dmesg.txt").symlink_to(secret)
    (machine.root / DUMPS / "hard/vmcore-dmesg.txt").hardlink_to(secret)
    machine.write(f"{DUMPS}/open/vmcore-dmesg.txt", "anybody's\n").chmod(0o666)
    machine.write(f"{DUMPS}/folder/vmcore-dmesg.txt", "replaceable\n")
    (machine.root / DUMPS / "folder").chmod(0o777)
    (machine.root / DUMPS / "elsewhere").symlink_to(tmp_path)
    machine.write(f"{DUMPS}/behind/a blank;rm/dmesg.txt", "odd\n")
    os.mkfifo(machine.root / DUMPS / "behind/dmesg.txt")
    said = machine.ctl("kept")
    assert said.code == 0 and sent(machine) == []
    assert "not read because of characters in its name" in said.output
    (machine.root / DUMPS).chmod(0o777)
    machine.write(f"{DUMPS}/good/dmesg.txt", "anybody may have renamed it\n")
    assert machine.ctl("kept").code == 0 and sent(machine) == []
    (machine.root / DUMPS).chmod(0o1777)
    assert machine.ctl("kept").code == 0 and len(sent(machine)) == 1


def test_what_is_damaged_is_told_and_keeps_no_other_from_being_sent(machine: Machine) -> None:
    part(machine, "dmesg-efi-1.enc.z", "\x78\x9c", "deflated")
    part(machine, "dmesg-efi-2", "\x00\x01garbage", "\x1b[2Jmore")
    part(machine, "dmesg-efi-3", "Panic#99999999999999999999 Part18446744073709551616", "numbers\n")
    machine.write(f"{PSTORE}/dmesg-efi-4", "")
    machine.write(f"{PSTORE}/dmesg-efi-5", "Panic#1 Part1\n")
    machine.write(f"{DUMPS}/nul/dmesg.txt", b"\0\xff\n\n" * 1000)
    said = machine.ctl("kept")
    assert said.code == 0, said.output
    assert "dmesg-efi-1.enc.z is compressed; panicast-receiver import reads it" in said.output
    assert "dmesg-efi-2 does not begin as pstore's files do" in said.output and "\x1b" not in said.output
    assert [lines["kept"] for lines, _ in sent(machine)] == ["pstore", "kdump"]


def test_of_what_is_huge_the_newest_is_sent(machine: Machine) -> None:
    file = machine.write(f"{DUMPS}/huge/dmesg.txt", "")
    with file.open("wb") as sparse:
        sparse.truncate(1 << 36)
        sparse.seek(0, os.SEEK_END)
        sparse.write(b"\nthe end\n")
    assert machine.ctl("kept").code == 0
    ((_, text),) = sent(machine)
    assert text.endswith("the end\n") and len(text) == 1 << 20


def test_history_is_not_sent(machine: Machine) -> None:
    part(machine, f"{DUMPS}/old/dmesg.txt", "long ago", "", at=1_600_000_000)
    assert machine.ctl("kept").code == 0 and sent(machine) == []


# Once


def test_what_could_not_be_sent_is_sent_the_next_time(machine: Machine) -> None:
    part(machine, "dmesg-efi-1", "Panic#1 Part1", "text\n")
    works = (machine.root.parent / "bin/dd").read_text().partition("\n")[2]
    machine.command("dd", "echo 'dd: error writing: Input/output error' >&2; exit 1")
    said = machine.ctl("kept")
    assert said.code == 1 and "no interface is armed and has a link" in said.output
    assert not (machine.root / STATE).exists()
    machine.command("dd", works)
    assert machine.ctl("kept").code == 0 and len(sent(machine)) == 1


def test_a_cut_leaves_the_state_of_before_or_after(machine: Machine) -> None:
    for number in range(3):
        part(machine, f"dmesg-efi-{number}", f"Panic#{number} Part1", f"text {number}\n")
    # The power goes when the second state is on the disk, but not in its place.
    machine.command("sync", f"[ ! -e {machine.root}/{STATE} ] || case $1 in *.new) kill -9 $PPID ;; esac")
    assert machine.ctl("kept").code != 0
    assert len(sent(machine)) == 2 and len(machine.read(STATE).splitlines()) == 1
    machine.command("sync", "exit 0")
    assert machine.ctl("kept").code == 0
    # The second was sent and not noted: at the worst it comes twice, and is shown as one crash.
    assert sorted(text for _, text in sent(machine)) == ["text 0\n", "text 1\n", "text 1\n", "text 2\n"]
    assert len(machine.read(STATE).splitlines()) == 3


def test_the_service_waits_for_a_card_only_if_there_is_something_to_send(machine: Machine) -> None:
    machine.command("sleep", f'echo "$1" >> {machine.root}/slept')
    assert machine.ctl("kept", "--wait").code == 0 and not (machine.root / "slept").exists()
    part(machine, "dmesg-efi-1", "Panic#1 Part1", "text\n")
    assert machine.ctl("kept", "--wait").code == 0 and len(sent(machine)) == 1
    (settled,) = machine.read("slept").split()
    assert 20 <= int(settled) < 40
    part(machine, "dmesg-efi-2", "Panic#2 Part1", "more\n")
    machine.load(armed=())
    said = machine.ctl("kept", "--wait")
    assert said.code == 1 and "no card is armed" in said.output and len(sent(machine)) == 1


# What is said of it


def test_who_keeps_a_crash_is_shown(machine: Machine) -> None:
    assert "kept         by nothing: no pstore, no kdump" in machine.ctl("status").output
    assert json.loads(machine.ctl("status", "--json").output)["kept_by"] == []
    machine.write("sys/module/pstore/parameters/backend", "efi_pstore\n")
    machine.write("sys/kernel/kexec_crash_loaded", "1\n")
    assert "kept         pstore (efi_pstore), kdump\n" in machine.ctl("status").output
    status = json.loads(machine.ctl("status", "--json").output)
    assert status["kept_by"] == ["pstore (efi_pstore)", "kdump"]


def test_that_nothing_will_send_it_is_a_problem(machine: Machine) -> None:
    machine.write("sys/module/pstore/parameters/backend", "ramoops\n")
    machine.command("systemctl", "exit 1")
    said = machine.ctl("doctor")
    assert said.code == 1 and "sudo systemctl enable panicast-kept.service" in said.output
    machine.command("systemctl", "exit 0")
    assert machine.ctl("doctor").code == 0
    machine.write("sys/module/pstore/parameters/backend", "(null)\n")
    machine.command("systemctl", "exit 1")
    assert machine.ctl("doctor").code == 0


def test_what_firmware_kept_is_not_moved_while_it_is_read() -> None:
    """systemd-pstore moves it from one folder that is looked into to the other."""
    unit = (KMOD / "dist/panicast-kept.service").read_text()
    after = {name for line in re.findall(r"^After=(.*)$", unit, re.M) for name in line.split()}
    assert after >= {"panicast.service", "systemd-pstore.service"}
