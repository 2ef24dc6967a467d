# SPDX-License-Identifier: GPL-2.0-or-later
"""What panicast-ctl says of a machine made up of files and commands, and does to it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .made_up import MODULE, Machine

INSMOD_SAYS_ONE_IS_THERE = 'echo "insmod: ERROR: could not insert module: File exists" >&2; exit 1'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# status


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


# doctor


def test_nothing_to_mend(machine: Machine) -> None:
    machine.load()
    said = machine.ctl("doctor")
    assert said.code == 0 and "would leave. To prove it" in said.output and "fix:" not in said.output


def test_kdump_first_is_a_problem_unless_it_is_on_purpose(machine: Machine) -> None:
    machine.load()
    machine.write("sys/kernel/kexec_crash_loaded", "1\n")
    for command in ("status", "doctor"):
        assert machine.ctl(command).code == 1
    assert "kdump is armed and runs before panicast [kdump]" in machine.ctl("doctor").output
    machine.write("etc/panicast/accepted", "# by ops\nkdump   # we have dumps\n")
    for command in ("status", "doctor"):
        assert machine.ctl(command).code == 0
    said = machine.ctl("doctor").output
    assert "accepted: kdump is armed" in said and "Last words would leave" not in said


def test_what_remains_with_kdump_behind_panicast_is_noted(machine: Machine) -> None:
    machine.load()
    machine.write("sys/kernel/kexec_crash_loaded", "1\n")
    machine.write("sys/module/kernel/parameters/crash_kexec_post_notifiers", "Y\n")
    said = machine.ctl("doctor")
    assert said.code == 0 and "can cost the record and the dump" in said.output


def test_settings_on_disk_that_are_not_in_force(machine: Machine) -> None:
    machine.load(dest_mac="aa:bb:cc:dd:ee:ff", tag="rack r7", hello_s="300")
    machine.write(
        "modprobe-c",
        'options panicast kib=0x40 tag="rack r7" dest_mac=AA:BB:CC:DD:EE:FF\noptions other kib=1\n'
        "options panicast port=7000 repeat=3\noptions panicast repeat=4\n",
    )
    said = machine.ctl("doctor")
    assert said.code == 1
    assert "port is '7000' on disk, but '6664' in force [differs-port]" in said.output
    assert "repeat is '4' on disk, but '1' in force" in said.output
    for name in ("kib", "tag", "dest_mac"):
        assert f"{name} is" not in said.output


def test_a_setting_that_the_next_boot_forgets_is_noted(machine: Machine) -> None:
    machine.load(kib="128")
    said = machine.ctl("doctor")
    assert said.code == 0 and "kib is '128' until the next boot" in said.output


@pytest.mark.parametrize(
    ("wrong", "meant"), [("destt", "dest"), ("dest-mc", "dest_mac"), ("iface_", "iface"), ("colour", "")]
)
def test_a_name_that_the_module_does_not_know(machine: Machine, wrong: str, meant: str) -> None:
    machine.load()
    machine.write("modprobe-c", f"options panicast {wrong}=1\n")
    said = machine.ctl("doctor")
    assert said.code == 1 and f"modprobe.d sets '{wrong.replace('-', '_')}'" in said.output
    assert (f"it may mean {meant}\n" if meant else "/etc/modprobe.d\n") in said.output


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


def test_the_package_that_brings_the_next_kernels_headers(machine: Machine) -> None:
    machine.load()
    here = "image-6.1.0-56-cloud-amd64 headers-6.1.0-56-cloud-amd64 image-cloud-amd64 image-rt headers-rt"
    lines = "".join(f"ii  linux-{name}\\n" for name in here.split())
    machine.command("dpkg-query", f'printf "{lines}un  linux-headers-cloud-amd64\\n"')
    said = machine.ctl("doctor")
    assert said.code == 1 and said.output.count("apt install linux-headers-") == 1
    assert "sudo apt install linux-headers-cloud-amd64" in said.output


def prebuilt(machine: Machine, *kernels: str) -> None:
    """Kernels in /boot; packages brought the module of the first one, and nothing builds it here."""
    (machine.root / "usr/src/panicast-1.2/dkms.conf").unlink()
    for kernel in kernels:
        machine.write(f"boot/vmlinuz-{kernel}", "")
        machine.write(f"lib/modules/{kernel}/kernel/a", "")
    others = "|".join(f"*-k\\ {kernel}\\ *" for kernel in kernels[1:]) or "none"
    machine.command("modinfo", f'case "$*" in *parm*) cat {machine.root}/parms ;; {others}) exit 1 ;; esac')


@pytest.mark.parametrize(
    ("there", "fix"),
    [
        (("6.1.0-9-amd64", "6.1.0-10-amd64"), "sudo apt install panicast-modules-6.1.0-10-amd64\n"),
        (("6.1.0-10-amd64", "6.1.0-9-amd64"), ""),
        (("6.1.0-10-amd64", "0-rescue-1"), ""),
    ],
)
def test_the_kernel_that_boots_next(machine: Machine, there: tuple[str, ...], fix: str) -> None:
    prebuilt(machine, *there)
    machine.write("etc/debian_version", "12\n")
    said = machine.ctl("doctor", "--next")
    assert "6.1.0-10-amd64" in said.output
    assert (said.code, said.output.endswith(fix)) == (1 if fix else 0, True)
    if fix:
        machine.write("etc/panicast/accepted", "next-kernel\n")
        assert machine.ctl("doctor", "--next").code == 0


def test_grubby_knows_what_boots_next(machine: Machine) -> None:
    prebuilt(machine, "5.14.0-600.el9.x86_64", "5.14.0-70.el9.x86_64")
    machine.command("grubby", "echo /boot/vmlinuz-5.14.0-70.el9.x86_64")
    said = machine.ctl("doctor", "--next")
    assert said.code == 1 and "sudo dnf install kmod-panicast-5.14.0-70.el9.x86_64\n" in said.output


def test_an_unknown_next_boot_is_said(machine: Machine) -> None:
    said = machine.ctl("doctor", "--next")
    assert said.code == 1 and "the next boot is unknown" in said.output
    assert machine.ctl("doctor", "--nxt").code == 2


def test_a_server_without_a_compiler_is_told_of_packages(machine: Machine) -> None:
    prebuilt(machine, "6.1.0-9-amd64", "6.1.0-10-amd64")
    machine.write("etc/debian_version", "12\n")
    machine.load()
    lines = "ii  linux-image-amd64\\nii  panicast-modules-cloud-amd64\\n"
    machine.command("dpkg-query", f'printf "{lines}"')
    said = machine.ctl("doctor")
    assert said.code == 1 and "headers" not in said.output
    assert "sudo apt install panicast-modules-6.1.0-10-amd64\n" in said.output
    assert "sudo apt install panicast-modules-amd64\n" in said.output
    assert "headers" not in machine.ctl("status").output


def test_one_card_that_is_not_armed_is_no_problem_but_all_are(machine: Machine) -> None:
    machine.load(unarmed="eth1: no link\n")
    said = machine.ctl("doctor")
    assert said.code == 0 and "note: eth1 is not armed: no link" in said.output
    machine.load(armed=(), unarmed="eth1: no link\n")
    said = machine.ctl("doctor")
    assert said.code == 1 and "1. eth1 is not armed: no link [not-armed]" in said.output


def test_the_kernels_words_for_a_refused_value(machine: Machine) -> None:
    machine.write("dmesg", "[1.0] panicast: kib=abc refused: a number from 1 to 1024 is right\n")
    assert "the kernel log has: kib=abc refused: a number from 1 to 1024" in machine.ctl("doctor").output
    machine.write("dmesg", "[1.0] panicast: kib=abc refused: a\n[2.0] panicast: version 1.2, reads the log\n")
    assert "refused: a" not in machine.ctl("doctor").output


# what becomes a panic

SYSCTLS = {
    **{"panic_on_oops": "0", "softlockup_panic": "0", "soft_watchdog": "1"},
    **{"hung_task_panic": "1", "panic": "0"},
}
DOG = {"identity": "iTCO", "state": "active", "pretimeout": "0", "pretimeout_governor": "noop"}


def test_what_becomes_a_panic_and_the_line_that_changes_it(machine: Machine) -> None:
    machine.load(reasons="panic,lockup")
    for name, value in {**SYSCTLS, "hung_task_timeout_secs": "0"}.items():
        machine.write(f"proc/sys/kernel/{name}", f"{value}\n")
    dog = "sys/class/watchdog/watchdog0"
    for name, value in DOG.items():
        machine.write(f"{dog}/{name}", f"{value}\n")
    said = " ".join(machine.ctl("doctor").output.split())
    assert "oops the task is killed, the machine goes on to change it: kernel.panic_on_oops = 1" in said
    assert "soft lockup a record of type oops; a warning in the log" in said
    assert "hung task nobody looks for it to change it: kernel.hung_task_timeout_secs = 120" in said
    assert "hard lockup this kernel has no kernel.hardlockup_panic" in said
    assert "the machine stays as it is after a panic to change it: kernel.panic = 10" in said
    assert "watchdog0 (iTCO) resets the machine without last words to change it: RuntimeWatchdogPre" in said
    machine.write(f"{dog}/pretimeout", "30\n")
    machine.write(f"{dog}/pretimeout_governor", "panic\n")
    machine.write("proc/sys/kernel/panic_on_oops", "1\n")
    said = " ".join(machine.ctl("sysctl").output.split())
    assert "watchdog0 (iTCO): panic, 30 s before" in said and "oops panic soft lockup a record" in said


def test_sysctl_on_and_off_leave_what_was(machine: Machine) -> None:
    for name, value in {**SYSCTLS, "panic": "-1"}.items():
        machine.write(f"proc/sys/kernel/{name}", f"{value}\n")
    before = {name: machine.read(f"proc/sys/kernel/{name}") for name in SYSCTLS}
    file = "etc/sysctl.d/90-panicast.conf"
    (machine.root / "etc/sysctl.d").mkdir(parents=True)

    assert machine.ctl("sysctl", "off").code == 1
    said = machine.ctl("sysctl", "on")
    assert said.code == 0, said.output
    for name, value in {"panic_on_oops": "1", "softlockup_panic": "1", "panic": "10"}.items():
        assert machine.read(f"proc/sys/kernel/{name}") == f"{value}\n"
        assert f"\n-kernel.{name} = {value}\n" in machine.read(file)
    assert not (machine.root / "proc/sys/kernel/hardlockup_panic").exists()
    assert machine.ctl("sysctl", "on").code == 1

    assert machine.ctl("sysctl", "off").code == 0
    assert not (machine.root / file).exists()
    assert {name: machine.read(f"proc/sys/kernel/{name}") for name in SYSCTLS} == before


def test_sysctl_wants_root_and_a_right_word(machine: Machine) -> None:
    assert machine.ctl("sysctl", "maybe").code == 2
    machine.command("id", "echo 1000")
    said = machine.ctl("sysctl", "on")
    assert said.code == 1 and "sudo panicast-ctl sysctl on" in said.output


# reload


@pytest.fixture
def loadable(machine: Machine) -> Machine:
    """A machine with the module loaded, whose modprobe unloads and loads it, refuses it with the settings on
    disk when there is a file wrong, and notes what it is given."""
    machine.load(tag="rack r7", kib="128")
    loaded, aside = machine.root / MODULE, machine.root / "unloaded"
    machine.command(
        "modprobe",
        f"""echo "$*" >> {machine.root}/calls
case "$*" in
-c) cat {machine.root}/modprobe-c ;;
-r*) mv {loaded} {aside} ;;
-C*) cat "$2"/panicast.conf > {machine.root}/given; mv {aside} {loaded} ;;
*) [ ! -e {machine.root}/wrong ] && mv {aside} {loaded} ;;
esac""",
    )
    machine.command("modinfo", 'case "$*" in *-n*) echo /panicast.ko ;; *) echo 1.2 ;; esac')
    machine.command("insmod", INSMOD_SAYS_ONE_IS_THERE)
    return machine


def test_reload(loadable: Machine) -> None:
    said = loadable.ctl("reload")
    assert said.code == 0 and "armed        eth0" in said.output
    assert loadable.read("calls").splitlines()[-2:] == ["-r panicast panicast_seal", "panicast"]


def test_a_module_that_would_be_refused_does_not_unload_the_old_one(loadable: Machine) -> None:
    loadable.command("insmod", 'echo "insmod: ERROR: Key was rejected by service"; exit 1')
    said = loadable.ctl("reload")
    assert said.code == 1 and "the loaded one stays" in said.output and "Key was rejected" in said.output
    assert not (loadable.root / "calls").exists()


def test_wrong_settings_leave_the_module_armed_as_it_was(loadable: Machine) -> None:
    loadable.write("wrong", "")
    loadable.write("dmesg", "[9.0] panicast: kib=abc refused: a number from 1 to 1024 is right\n")
    loadable.write("modprobe-c", "options panicast kib=abc key_id=7 key=00ff\n")
    said = loadable.ctl("reload")
    assert said.code == 1 and "nothing has changed" in said.output and "kib=abc refused" in said.output
    assert (loadable.root / MODULE).is_dir()
    given = loadable.read("given")
    assert ' kib="128"' in given and ' tag="rack r7"' in given and "abc" not in given
    assert "options panicast key=00ff\n" in given and "options panicast key_id=7\n" in given


# the key

KEY = "0123456789abcdef" * 4
KEY_FILE, WAIT_FILE = "etc/panicast/key", "etc/modprobe.d/panicast-key.conf"


def test_the_key_goes_where_no_initramfs_maker_looks_and_into_the_module(machine: Machine) -> None:
    machine.load()
    machine.write("etc/modprobe.d/panicast.conf", "")
    machine.write(f"{MODULE}/parameters/key", "")
    machine.command("systemctl", f'echo "$*" > {machine.root}/asked')
    said = machine.ctl("key", given=f"7 {KEY}\n")
    assert said.code == 0 and KEY not in said.output, said.output
    assert machine.read(KEY_FILE) == machine.read(f"{MODULE}/parameters/key") == f"7 {KEY}\n"
    assert (machine.root / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert machine.read(WAIT_FILE).endswith("options panicast key=wait\n") and KEY not in machine.read(
        WAIT_FILE
    )
    assert machine.read("asked") == "-q enable panicast.service\n"

    said = machine.ctl("key", given="none\n")
    assert said.code == 0 and machine.read(f"{MODULE}/parameters/key") == "none\n"
    assert not (machine.root / KEY_FILE).exists() and not (machine.root / WAIT_FILE).exists()


def test_a_key_that_the_module_has_not_got_is_handed_over(machine: Machine) -> None:
    machine.load(armed=(), unarmed="eth0: waits for its key\n")
    assert machine.ctl("key", "load").code == 1
    machine.write(KEY_FILE, f"7 {KEY}\n").chmod(0o600)
    said = machine.ctl("doctor").output
    assert "has a key, but" in said and "sudo panicast-ctl key load" in said and "read the key" not in said
    said = machine.ctl("key", "load")
    assert said.code == 1 and "can take a key only when it loads" in said.output
    machine.write(f"{MODULE}/parameters/key", "")
    assert machine.ctl("key", "load").code == 0 and machine.read(f"{MODULE}/parameters/key") == f"7 {KEY}\n"


def test_an_old_key_in_modprobe_d_is_warned_of(machine: Machine) -> None:
    machine.load()
    machine.write(WAIT_FILE, f"options panicast key_id=7 key={KEY}\n").chmod(0o600)
    said = machine.ctl("doctor")
    assert (
        said.code == 1
        and "which initramfs tools copy" in said.output
        and "[key-in-modprobe.d]" in said.output
    )
    machine.write("boot/initrd.img-new", "").chmod(0o644)
    assert "others may read" in machine.ctl("doctor").output


def test_a_reload_hands_the_key_over_whatever_becomes_of_the_settings(loadable: Machine) -> None:
    loadable.write(KEY_FILE, f"7 {KEY}\n").chmod(0o600)
    loadable.write(f"{MODULE}/parameters/key", "")
    assert loadable.ctl("reload").code == 0
    assert loadable.read(f"{MODULE}/parameters/key") == f"7 {KEY}\n"
    loadable.write(f"{MODULE}/parameters/key", "")
    loadable.write("wrong", "")
    assert loadable.ctl("reload").code == 1
    assert loadable.read(f"{MODULE}/parameters/key") == f"7 {KEY}\n"
    assert "options panicast key=wait\n" in loadable.read("given")


# test

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


# report


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


# the initramfs

SWITCH = "etc/panicast/initramfs"
CONF = "etc/modprobe.d/panicast.conf"
MAKERS = {"update-initramfs": "-u -k all\n", "dracut": "--regenerate-all --force\n"}


def makes(machine: Machine, maker: str) -> None:
    """The machine has a command that makes images, and a folder for them."""
    machine.load()
    machine.command("ip", "")
    (machine.root / "boot").mkdir(exist_ok=True)
    machine.command(maker, f'echo "$*" >> {machine.root}/asked; [ ! -e {machine.root}/full ]')


@pytest.mark.parametrize("maker", MAKERS)
def test_the_images_are_made_anew(machine: Machine, maker: str) -> None:
    makes(machine, maker)
    assert machine.ctl("initramfs", "rebuild").code == 0 and not (machine.root / "asked").exists()
    said = machine.ctl("initramfs", "on")
    assert said.code == 0 and machine.read("asked") == MAKERS[maker] and (machine.root / SWITCH).exists()
    assert "made with panicast" in machine.ctl("initramfs").output
    assert json.loads(machine.ctl("status", "--json").output)["initramfs"] is True
    assert machine.ctl("initramfs", "rebuild").code == 0 and machine.read("asked") == 2 * MAKERS[maker]
    assert machine.ctl("initramfs", "off").code == 0 and machine.read("asked") == 3 * MAKERS[maker]
    assert not list((machine.root / SWITCH).parent.glob("initramfs*"))
    said = machine.ctl("initramfs", "off")
    assert said.code == 1 and "off already" in said.output and machine.read("asked") == 3 * MAKERS[maker]


def test_where_two_make_images_one_is_asked(machine: Machine) -> None:
    for maker in MAKERS:
        makes(machine, maker)
    assert machine.ctl("initramfs", "on").code == 0
    assert machine.read("asked") == MAKERS["update-initramfs"]


def test_the_switch_stays_as_it_was_when_images_cannot_be_made(machine: Machine) -> None:
    makes(machine, "dracut")
    full = machine.write("full", "")
    said = machine.ctl("initramfs", "on")
    assert said.code == 1 and "not all images were rebuilt" in said.output
    assert not (machine.root / SWITCH).exists()
    full.unlink()
    assert machine.ctl("initramfs", "on").code == 0
    machine.write("full", "")
    assert machine.ctl("initramfs", "off").code == 1 and (machine.root / SWITCH).exists()
    assert machine.ctl("initramfs", "on").code == 1 and (machine.root / SWITCH).exists()


def test_a_key_goes_into_no_image(machine: Machine) -> None:
    makes(machine, "dracut")
    machine.write(KEY_FILE, f"7 {KEY}\n").chmod(0o600)
    machine.write(f"{MODULE}/state/key_id", "7\n")
    said = machine.ctl("initramfs", "on")
    assert said.code == 1 and "no key goes into an image" in said.output
    assert not (machine.root / SWITCH).exists() and not (machine.root / "asked").exists()
    machine.write(SWITCH, "")
    said = machine.ctl("doctor")
    assert said.code == 1 and "[initramfs-sealed]" in said.output
    assert "sudo panicast-ctl initramfs off" in said.output


def test_a_new_key_takes_the_module_out_of_the_images(machine: Machine) -> None:
    makes(machine, "dracut")
    machine.write(f"{MODULE}/parameters/key", "")
    (machine.root / "etc/modprobe.d").mkdir(parents=True)
    assert machine.ctl("initramfs", "on").code == 0
    assert machine.ctl("key", given=f"7 {KEY}\n").code == 0
    assert machine.read("asked") == 2 * MAKERS["dracut"]
    assert machine.ctl("key", given="none\n").code == 0
    assert machine.read("asked") == 3 * MAKERS["dracut"]


def test_an_image_with_the_settings_of_before(machine: Machine) -> None:
    makes(machine, "dracut")
    assert machine.ctl("initramfs", "on").code == 0
    conf = machine.write(CONF, "options panicast kib=16\n")
    image = machine.write(f"boot/initramfs-{os.uname().release}.img", "")
    os.utime(conf, (1000, 1000))
    assert "[initramfs-old]" not in machine.ctl("doctor").output
    os.utime(image, (900, 900))
    said = machine.ctl("doctor").output
    assert "[initramfs-old]" in said and "sudo panicast-ctl initramfs on" in said


def test_what_no_image_can_be_made_without(machine: Machine) -> None:
    machine.load()
    said = machine.ctl("initramfs", "on")
    assert said.code == 1 and "install initramfs-tools or dracut" in said.output
    machine.command("dracut", "")
    said = machine.ctl("initramfs", "on")
    assert said.code == 1 and "ip is missing" in said.output
    assert not (machine.root / SWITCH).exists()
    assert machine.ctl("initramfs", "sometimes").code == 2
