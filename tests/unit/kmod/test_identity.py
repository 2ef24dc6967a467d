# SPDX-License-Identifier: GPL-2.0-or-later
"""No two records have one name, whatever becomes of a machine's memory (kmod/identity.c)."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

from .conftest import KMOD, Record

HERE = Path(__file__).parent
HEADERS = (
    "compat/compat.h",
    *(
        f"linux/{name}.h"
        for name in ("atomic", "mutex", "notifier", "random", "string", "timekeeping", "timex")
    ),
)

Name = tuple[bytes, int]
#: PC_WIRE_KEPT_EVENT of kmod/wire.h.
KEPT = 1 << 31


class Machine:
    """A copy of identity.c with memory, clocks and a random pool of its own. Two that were told the same
    have the same memory."""

    def __init__(self, library: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        self.clocks(1, 1)
        assert self._lib.pc_identity_init() == 0

    def clocks(self, time_ns: int, cycles: int) -> None:
        ctypes.c_uint64.in_dll(self._lib, "time_ns").value = time_ns
        ctypes.c_uint64.in_dll(self._lib, "cycles").value = cycles

    def stamp(self) -> Name:
        """The boot id and the number of the next record."""
        record = Record()
        self._lib.pc_identity_stamp(ctypes.byref(record))
        return bytes(record.boot_id), record.event

    def stamp_kept(self, boot: bytes | None) -> Name:
        """The same of a record that was kept of this boot."""
        record = Record()
        self._lib.pc_identity_stamp_kept(ctypes.byref(record), boot)
        return bytes(record.boot_id), record.event

    def hibernates(self) -> None:
        self._lib.pc_identity_image(True)

    def woke(self) -> None:
        self._lib.pc_identity_renew()
        self._lib.pc_identity_image(False)


@pytest.fixture
def machines(tmp_path: Path) -> list[Machine]:
    """Two machines with one memory."""
    for name in HEADERS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    for name in ("identity.c", "identity.h", "wire.h"):
        (tmp_path / name).write_bytes((KMOD / name).read_bytes())
    (tmp_path / "clocks.c").write_text("u64 time_ns, cycles;\nu8 pool = 0x5a;\n")
    found = []
    for name in ("one", "other"):
        library = tmp_path / f"{name}.so"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror",
             "-Wno-declaration-after-statement", "-fsanitize=undefined", "-fno-sanitize-recover=all",
             "-static-libubsan", "-I", str(tmp_path), "-include", str(HERE / "identity_userspace.h"),
             "-o", str(library), str(tmp_path / "identity.c"), str(tmp_path / "clocks.c")],
            check=True,
        )  # fmt: skip
        found.append(Machine(library))
    return found


def test_a_boot_counts_its_records(machines: list[Machine]) -> None:
    first, again = machines[0].stamp(), machines[0].stamp()
    machines[0].clocks(7, 7)
    later = machines[0].stamp()
    assert first[0] == again[0] == later[0]
    assert [name[1] for name in (first, again, later)] == [1, 2, 3]
    assert machines[1].stamp() == first


@pytest.mark.parametrize("clocks", [(2, 1), (1, 2)], ids=["time", "cycles"])
def test_records_of_an_image_and_of_who_wakes_from_it_differ(
    machines: list[Machine], clocks: tuple[int, int]
) -> None:
    """Before the kernel says that it woke, either clock is enough."""
    for machine in machines:
        machine.stamp()
        machine.hibernates()
    machines[1].clocks(*clocks)
    one, other = (machine.stamp() for machine in machines)
    assert one[1] == other[1] and one[0] != other[0]


def test_who_woke_has_one_boot_again_and_another_than_before(machines: list[Machine]) -> None:
    before = [machine.stamp() for machine in machines]
    names = []
    for at, machine in enumerate(machines):
        machine.hibernates()
        machine.clocks(3, 5 + at)
        names.append(machine.stamp())
        # another time than the record's, as on any machine
        machine.clocks(4, 9 + at)
        machine.woke()
        names += (after := [machine.stamp(), machine.stamp()])
        assert after[0][0] == after[1][0]
    assert len({*before, *names}) == 1 + len(names)


def test_what_was_kept_is_never_taken_for_what_was_sent(machines: list[Machine]) -> None:
    """A boot that sent its last words and kept them has two records, of which the numbers differ; those that
    are sent count from 1."""
    boot, _ = machines[0].stamp()
    again, event = machines[0].stamp_kept(boot)
    assert again == boot and event & KEPT
    unknown, event = machines[0].stamp_kept(None)
    assert unknown != bytes(16) and event & KEPT
