# SPDX-License-Identifier: GPL-2.0-or-later
"""What each architecture, and old kernels, print of one fault of one function: logs of our own making."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from panicast_receiver.meaning import understand

END = "---[ end trace 0000000000000000 ]---\nKernel panic - not syncing: Fatal exception\n"
WAY = ("my_open [my_drv]", "misc_open", "chrdev_open")


class Log(NamedTuple):
    """What is expected of ``text``: always in my_open of the module my_drv."""

    title: str
    text: str
    trace: tuple[str, ...] = WAY
    kernel: str = "6.1.0"
    module: str = "my_drv"


LOGS = {
    "s390": Log(
        "bad paging request in my_open",
        """\
Unable to handle kernel pointer dereference in virtual kernel address space
Failing address: 0000000000000000 TEID: 0000000000000483
Fault in home space mode while using kernel ASCE.
AS:00000001a8a44007 R3:0000000000000024
Oops: 0004 ilc:3 [#1] SMP
Modules linked in: my_drv(O) qeth ccwgroup
CPU: 0 PID: 1234 Comm: cat Tainted: G           O       6.1.0 #1
Hardware name: IBM 3906 M04 704 (z/VM 7.3.0)
Krnl PSW : 0704c00180000000 000003ff8017a0d2 (my_open+0x2a/0x48 [my_drv])
           R:0 T:1 IO:1 EX:1 Key:0 M:1 W:0 P:0 AS:3 CC:0 PM:0 RI:0 EA:3
Krnl GPRS: 0000000000000000 0000000000000001 0000000000000000 00000000a1b2c3d4
Krnl Code: 000003ff8017a0c4: e3e0f0980024\tstg\t%r14,152(%r15)
          #000003ff8017a0cc: a7190000\t\tlghi\t%r1,0
Call Trace:
 [<000003ff8017a0d2>] my_open+0x2a/0x48 [my_drv]
([<000003ff8017a0c0>] my_open+0x18/0x48 [my_drv])
 [<00000000a1b2c3d4>] misc_open+0x12a/0x1b0
 [<00000000a1a2c3d4>] chrdev_open+0xb2/0x240
Last Breaking-Event-Address:
 [<00000000a1f00000>] __s390_indirect_jump_r14+0x0/0xc
""",
    ),
    "s390, a BUG": Log(
        "kernel BUG in my_open",
        """\
monitor event: 0040 ilc:2 [#1] SMP
Modules linked in: my_drv(O)
CPU: 0 PID: 1234 Comm: cat Tainted: G           O       6.1.0 #1
Krnl PSW : 0704c00180000000 000003ff8017a0d2 (my_open+0x2a/0x48 [my_drv])
Call Trace:
 [<000003ff8017a0d2>] my_open+0x2a/0x48 [my_drv]
 [<00000000a1b2c3d4>] misc_open+0x12a/0x1b0
 [<00000000a1a2c3d4>] chrdev_open+0xb2/0x240
Last Breaking-Event-Address:
 [<00000000a1b2c3d0>] misc_open+0x126/0x1b0
""",
    ),
    "LoongArch": Log(
        "bad paging request in my_open",
        """\
CPU 0 Unable to handle kernel paging request at virtual address 0000000000000000, era == ffff800002034120, \
ra == ffff800002034100
Oops[#1]:
CPU: 0 PID: 77 Comm: cat Tainted: G           O       6.1.0 #1
Hardware name: Loongson Loongson-3A5000-7A1000-1w-A2101/Loongson-LS3A5000-7A1000-1w-A2101, BIOS vUDK2018
pc ffff800002034120 ra ffff800002034100 tp 9000000101a28000 sp 9000000101a2bc30
a0 0000000000000000 a1 0000000000000000 a2 9000000100a1c900 a3 0000000000000000
   ra: ffff800002034100 my_open+0x20/0x60 [my_drv]
  ERA: ffff800002034120 my_open+0x40/0x60 [my_drv]
 CRMD: 000000b0 (PLV0 -IE -DA +PG DACF=CC DACM=CC -WE)
ESTAT: 00020000 [PIS] (IS= ECode=2 EsubCode=0)
 BADV: 0000000000000000
 PRID: 0014c010 (Loongson-64bit, Loongson-3A5000)
Modules linked in: my_drv(O)
Process cat (pid: 77, threadinfo=00000000aaaa0000, task=00000000bbbb0000)
Stack : 0000000000000000 9000000000a1b2c4 0000000000000000 9000000000a1b260
Call Trace:
[<ffff800002034120>] my_open+0x40/0x60 [my_drv]
[<9000000000a1b2c4>] misc_open+0x134/0x1e0
[<90000000005a1234>] chrdev_open+0x114/0x2c0

Code: 02bfc063  29c02061  29c00077 <2980018c> 28c02061
""",
    ),
    "LoongArch of before": Log(
        "bad paging request in my_open",
        """\
CPU 3 Unable to handle kernel paging request at virtual address 0000000000000000, era == ffff800002034120, \
ra == ffff800002034100
Oops[#1]:
CPU: 3 PID: 77 Comm: cat Tainted: G           O      5.10.0-60.loongarch64 #1
$ 0   : 0000000000000000 ffff800002034100 9000000101a28000 9000000101a2bc30
era   : ffff800002034120 my_open+0x40/0x60 [my_drv]
ra    : ffff800002034100 my_open+0x20/0x60 [my_drv]
CSR crmd: 000000b0
Modules linked in: my_drv(O)
Call Trace:
[<ffff800002034120>] my_open+0x40/0x60 [my_drv]
[<9000000000a1b2c4>] misc_open+0x134/0x1e0
[<90000000005a1234>] chrdev_open+0x114/0x2c0
""",
        kernel="5.10.0-60.loongarch64",
    ),
    "MIPS": Log(
        "bad paging request in my_open",
        """\
CPU 0 Unable to handle kernel paging request at virtual address 00000000, epc == c0008014, ra == c0008010
Oops[#1]:
CPU: 0 PID: 77 Comm: cat Tainted: G           O    6.1.0 #0
$ 0   : 00000000 00000001 00000000 00000000
Hi    : 00000000
epc   : c0008014 my_open+0x14/0x40 [my_drv]
ra    : c0008010 my_open+0x10/0x40 [my_drv]
Status: 1100fc03\tKERNEL EXL IE
Cause : 4080000c (ExcCode 03)
BadVA : 00000000
Modules linked in: my_drv(O)
Process cat (pid: 77, threadinfo=87eb6000, task=87d1a000, tls=77e8fe08)
Stack : 00000000 80561234 00000000 00000000
Call Trace:
[<c0008014>] my_open+0x14/0x40 [my_drv]
[<80561234>] misc_open+0x134/0x1e0
[<801a1234>] chrdev_open+0x114/0x2c0
Code: 27bdffe8  afbf0014 <ac000000> 8fbf0014
""",
    ),
    "riscv": Log(
        "NULL pointer dereference in my_open",
        """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
Oops [#1]
Modules linked in: my_drv(O)
CPU: 1 PID: 77 Comm: cat Tainted: G           O       6.1.0 #1
Hardware name: riscv-virtio,qemu (DT)
epc : my_open+0x14/0x40 [my_drv]
 ra : misc_open+0x8e/0x110
epc : ffffffff01234014 ra : ffffffff80561234 sp : ff20000000463c30
 gp : ffffffff815d1c08 tp : ff60000001b82340 t0 : ff60000001b82340
status: 0000000200000120 badaddr: 0000000000000000 cause: 000000000000000f
[<ffffffff01234014>] my_open+0x14/0x40 [my_drv]
[<ffffffff80561234>] misc_open+0x8e/0x110
[<ffffffff801a1234>] chrdev_open+0xb2/0x1a0
Code: 1101 ec06 e822 1000 4785 0693 0000 (c29c) 60e2
""",
    ),
    "ppc64": Log(
        "NULL pointer dereference in my_open",
        """\
BUG: Kernel NULL pointer dereference on write at 0x00000000
Faulting instruction address: 0xc0080000012300a8
Oops: Kernel access of bad area, sig: 11 [#1]
LE PAGE_SIZE=64K MMU=Radix SMP NR_CPUS=2048 NUMA pSeries
Modules linked in: my_drv(O)
CPU: 3 PID: 77 Comm: cat Tainted: G           O       6.1.0 #1
Hardware name: IBM,9009-22A POWER9 (raw) 0x4e0202 0xf000005 of:IBM,FW950.40 hv:phyp pSeries
NIP:  c0080000012300a8 LR: c000000000a1b2c4 CTR: c008000001230070
REGS: c00000000f1e7790 TRAP: 0300   Tainted: G           O        (6.1.0)
MSR:  800000000280b033 <SF,VEC,VSX,EE,FP,ME,IR,DR,RI,LE>  CR: 24008888  XER: 00000000
CFAR: c000000000a1b2c0 DAR: 0000000000000000 DSISR: 42000000 IRQMASK: 0
GPR00: c000000000a1b2c4 c00000000f1e7a30 c008000001238000 0000000000000000
NIP [c0080000012300a8] my_open+0x38/0x90 [my_drv]
LR [c000000000a1b2c4] misc_open+0x134/0x1e0
Call Trace:
[c00000000f1e7a30] [c000000000a1b260] misc_open+0xd0/0x1e0 (unreliable)
[c00000000f1e7a80] [c0000000005a1234] chrdev_open+0x114/0x2c0
[c00000000f1e7ae0] [c0000000005941a4] do_dentry_open+0x1f4/0x5b0
Instruction dump:
7c0802a6 60000000 38600000 <90630000> 4e800020
""",
        ("chrdev_open", "do_dentry_open"),
    ),
    "arm of before": Log(
        "NULL pointer dereference in my_open",
        """\
Unable to handle kernel NULL pointer dereference at virtual address 00000000
pgd = c0004000
[00000000] *pgd=00000000
Internal error: Oops: 817 [#1] PREEMPT SMP ARM
Modules linked in: my_drv(O)
CPU: 0 PID: 77 Comm: cat Tainted: G           O    4.9.0 #1
Hardware name: ARM-Versatile Express
task: de1b8000 task.stack: de1c0000
PC is at my_open+0x14/0x40 [my_drv]
LR is at misc_open+0x8e/0x110
pc : [<bf000014>]    lr : [<c0561234>]    psr: 60000013
sp : de1c1d88  ip : 00000000  fp : 00000000
Process cat (pid: 77, stack limit = 0xde1c0210)
Stack: (0xde1c1d88 to 0xde1c2000)
1d80:                   00000000 c0561234 00000000 de1b8000
[<bf000014>] (my_open [my_drv]) from [<c0561234>] (misc_open+0x8e/0x110)
[<c0561234>] (misc_open) from [<c01a1234>] (chrdev_open+0xb2/0x1a0)
Code: e92d4010 e3a03000 e3a02001 (e5832000)
""",
        kernel="4.9.0",
    ),
    "arm": Log(
        "NULL pointer dereference in my_open",
        """\
8<--- cut here ---
Unable to handle kernel NULL pointer dereference at virtual address 00000000 when write
[00000000] *pgd=00000000
Internal error: Oops: 817 [#1] PREEMPT SMP ARM
Modules linked in: my_drv(O)
CPU: 0 PID: 77 Comm: cat Tainted: G           O       6.1.0 #1
Hardware name: ARM-Versatile Express
PC is at my_open+0x14/0x40 [my_drv]
LR is at misc_open+0x8e/0x110
pc : [<bf000014>]    lr : [<c0561234>]    psr: 60000013
Register r0 information: NULL pointer
Process cat (pid: 77, stack limit = 0xde1c0210)
Stack: (0xde1c1d88 to 0xde1c2000)
 my_open [my_drv] from misc_open+0x8e/0x110
 misc_open from chrdev_open+0xb2/0x1a0
Code: e92d4010 e3a03000 e3a02001 (e5832000)
""",
    ),
    "arm64": Log(
        "NULL pointer dereference in my_open",
        """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
Mem abort info:
  ESR = 0x0000000096000044
user pgtable: 4k pages, pgdp=0000000043a1c000
Internal error: Oops: 0000000096000044 [#1] SMP
Modules linked in: my_drv(O)
CPU: 1 PID: 77 Comm: cat Tainted: G           O       6.1.0 #1
Hardware name: QEMU KVM Virtual Machine, BIOS 0.0.0 02/06/2015
pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : my_open+0x14/0x40 [my_drv]
lr : misc_open+0x8e/0x110
sp : ffff80000a5bbb30
Call trace:
 my_open+0x14/0x40 [my_drv]
 misc_open+0x8e/0x110
 chrdev_open+0xb2/0x1a0
Code: d503245f d503233f d2800000 d2800021 (b9000001)
""",
    ),
    "x86-64 of 2.6.32": Log(
        "NULL pointer dereference in my_open",
        """\
BUG: unable to handle kernel NULL pointer dereference at 0000000000000008
IP: [<ffffffffa0001014>] my_open+0x14/0x40 [my_drv]
PGD 1a2b3c067 PUD 1a2b3d067 PMD 0
Oops: 0002 [#1] SMP
last sysfs file: /sys/devices/system/cpu/cpu3/cache/index2/shared_cpu_map
CPU 1
Modules linked in: my_drv(U) ext4 jbd2

Pid: 77, comm: cat Tainted: G        W  ---------------    2.6.32-431.el6.x86_64 #1 Dell Inc. PowerEdge R720
RIP: 0010:[<ffffffffa0001014>]  [<ffffffffa0001014>] my_open+0x14/0x40 [my_drv]
RSP: 0018:ffff880119a2bd58  EFLAGS: 00010246
Process cat (pid: 77, threadinfo ffff880119a2a000, task ffff88011a1aeaa0)
Stack:
 ffff880119a2bd78 ffffffff8138a1b4 0000000000000000 ffff88011a1aeaa0
<d> ffff880119a2bda8 ffffffff8118e3a5 0000000000000000 ffff88011a1aeaa0
Call Trace:
 [<ffffffff8138a1b4>] misc_open+0x134/0x1e0
 [<ffffffff8118e3a5>] chrdev_open+0x125/0x230
 [<ffffffff8118e280>] ? chrdev_open+0x0/0x230
 [<ffffffff81187e4f>] __dentry_open+0x10f/0x360
Code: 55 48 89 e5 0f 1f 44 00 00 <c7> 04 25 08 00 00 00
RIP  [<ffffffffa0001014>] my_open+0x14/0x40 [my_drv]
 RSP <ffff880119a2bd58>
CR2: 0000000000000008
""",
        ("misc_open", "chrdev_open", "__dentry_open"),
        "2.6.32-431.el6.x86_64",
    ),
    "x86-64 of 2.6.18": Log(
        "NULL pointer dereference in my_open",
        """\
Unable to handle kernel NULL pointer dereference at 0000000000000008 RIP:
 [<ffffffff88001014>] :my_drv:my_open+0x14/0x40
PGD 1a2b3c067 PUD 1a2b3d067 PMD 0
Oops: 0002 [1] SMP
last sysfs file: /block/sda/removable
CPU 1
Modules linked in: my_drv(U) ext3 jbd
Pid: 77, comm: cat Tainted: G      2.6.18-398.el5 #1
RIP: 0010:[<ffffffff88001014>]  [<ffffffff88001014>] :my_drv:my_open+0x14/0x40
RSP: 0018:ffff810119a2bd58  EFLAGS: 00010246
Process cat (pid: 77, threadinfo ffff810119a2a000, task ffff81011a1aeaa0)
Call Trace:
 [<ffffffff88001080>] :my_drv:my_first+0x20/0x60
 [<ffffffff801a8a1b>] misc_open+0x134/0x1e0
 [<ffffffff8004a3a5>] chrdev_open+0x125/0x230
""",
        ("my_first [my_drv]", "misc_open", "chrdev_open"),
        "2.6.18-398.el5",
    ),
    "i386 of 2.6.18": Log(
        "bad paging request in my_open",
        """\
BUG: unable to handle kernel paging request at virtual address 6b6b6b6b
 printing eip:
f8a01014
*pde = 00000000
Oops: 0002 [#1]
SMP
Modules linked in: my_drv(U)
CPU:    1
EIP:    0060:[<f8a01014>]    Tainted: G      VLI
EFLAGS: 00010246   (2.6.18-398.el5PAE #1)
EIP is at my_open+0x14/0x40 [my_drv]
eax: 6b6b6b6b   ebx: f7e01e00   ecx: 00000000   edx: 00000000
Process cat (pid: 77, ti=f5a2a000 task=f5a1aeaa task.ti=f5a2a000)
Stack: 00000000 c0561234 00000000 f5a1aeaa
Call Trace:
 [<c0561234>] misc_open+0x134/0x1e0
 [<c04a1234>] chrdev_open+0x125/0x230
 =======================
Code: 55 89 e5 c7 05 08 00 00 00
EIP: [<f8a01014>] my_open+0x14/0x40 [my_drv] SS:ESP 0068:f5a2bd58
""",
        WAY[1:],
        "",
    ),
}


@pytest.mark.parametrize("log", LOGS.values(), ids=list(LOGS))
def test_one_fault_of_one_function(log: Log) -> None:
    found = understand(log.text + END)
    assert (found.title, found.at, found.module) == (log.title, "my_open", log.module)
    assert found.trace == log.trace
    assert (found.kernel, found.comm) == (log.kernel, "cat" if log.kernel else "")


def test_one_fault_is_one_group_whatever_it_ran_on() -> None:
    found = {name: understand(log.text + END) for name, log in LOGS.items() if "a BUG" not in name}
    assert len({one.signature for one in found.values()}) == 1


@pytest.mark.parametrize("log", LOGS.values(), ids=list(LOGS))
def test_of_two_cpus_that_speak_at_once_the_first_to_speak_names_the_crash(log: Log) -> None:
    """No line says whose it is. Each CPU's are in order."""
    lines = log.text.splitlines()
    for ahead in range(1, 5):
        mixed = lines[:ahead]
        for number, line in enumerate(lines):
            mixed += [line.replace("my_open", "other"), *lines[ahead + number : ahead + number + 1]]
        found = understand("".join(f"[   12.345678] {line}\n" for line in mixed) + END)
        assert (found.title, found.at) == (log.title, "my_open")
        assert set(found.trace) <= {*log.trace, "my_open [my_drv]", "other [my_drv]"}


def test_a_line_that_another_cpus_line_runs_into() -> None:
    text = LOGS["x86-64 of 2.6.32"].text
    cut = text.replace("BUG: unable", "[   12.345679] eth0: link is upBUG: unable", 1)
    assert understand(cut + END).title == "NULL pointer dereference in my_open"
