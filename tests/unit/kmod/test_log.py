# SPDX-License-Identifier: GPL-2.0-or-later
"""Which part of the log kmod/log.c reads, over logs that are made up, under the sanitizers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import KMOD

HERE = Path(__file__).parent
ABOUT = "Kernel panic - not syncing"
PANIC = f"<0>[    9.000000] {ABOUT}: Fatal exception\n"

Read = Callable[..., tuple[bool, bool, str]]


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    folder = tmp_path_factory.mktemp("log")
    for name in ("compat/compat.h", *(f"linux/{name}.h" for name in ("minmax", "module", "string", "types"))):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    for name in ("log.c", "log.h"):
        (folder / name).write_bytes((KMOD / name).read_bytes())
    program = folder / "log"
    subprocess.run(
        ["gcc", "-O1", "-g", "-Wall", "-Wextra", "-Wno-sign-compare", "-Werror",
         "-fsanitize=undefined,address", "-fno-sanitize-recover=all",
         "-I", str(folder), "-I", str(HERE), "-include", str(HERE / "log_userspace.h"),
         "-o", str(program), str(HERE / "log_program.c"), str(folder / "log.c")],
        check=True,
    )  # fmt: skip

    def read(messages: list[str], limit: int, about: str = ABOUT, *kernel: str) -> tuple[bool, bool, str]:
        """Whether there is older and newer text, and the text."""
        stdin = "".join(f"{message}\0" for message in messages).encode()
        argv = [program, str(limit), about, *kernel]
        done = subprocess.run(argv, input=stdin, check=True, stdout=subprocess.PIPE)
        flags, text = done.stdout.decode().split("\n", 1)
        return flags[0] == "1", flags[2] == "1", text

    return read


def lines(first: int, last: int, size: int = 60) -> list[str]:
    return [f"<6>[{nr:5}.000000] ".ljust(size - 1, "x") + "\n" for nr in range(first, last)]


def test_short_log_is_whole(read: Read) -> None:
    log = [*lines(0, 5), PANIC, *lines(5, 8)]
    assert read(log, 4096) == (False, False, "".join(log))


def test_nothing_behind_the_log_is_read(read: Read) -> None:
    """A last line that is shorter than what is looked for, also where the memory ends with it: the draft is
    filled to the last byte for one limit of as many as a line has bytes."""
    last = "<6>[    9.000000] x\n"
    for limit in range(512, 572):
        assert read([*lines(0, 200), last], limit)[2].endswith(last)


def test_newest_lines_when_they_have_the_panic(read: Read) -> None:
    older, newer, text = read([*lines(0, 500), PANIC, *lines(500, 505)], 4096)
    assert (older, newer) == (True, False)
    assert PANIC in text
    assert text.endswith(lines(504, 505)[0])


def test_newer_lines_are_left_out_instead_of_the_panic(read: Read) -> None:
    older, newer, text = read([*lines(0, 500), PANIC, *lines(500, 900)], 4096)
    assert (older, newer) == (True, True)
    assert PANIC in text
    assert len(text) <= 4096
    assert lines(499, 500)[0] in text


@pytest.mark.parametrize("level", ["x0>", "<12>", "<8>", "<0", "0>", ""])
def test_what_the_kernel_did_not_say_is_not_taken_for_the_panic(read: Read, level: str) -> None:
    """User space writes there, too, and lines end where they like."""
    impostor = f"{level}[    9.500000] {ABOUT}: made up\n"
    _, newer, text = read([*lines(0, 500), PANIC, *lines(500, 900), impostor, *lines(900, 910)], 4096)
    assert PANIC in text and newer


def test_line_that_ends_before_its_time_does_goes_no_further(read: Read) -> None:
    """What stands below it is another line."""
    impostor = f"<6>[    9.5\n{ABOUT}: made up\n"
    log = [*lines(0, 500), PANIC, *lines(500, 900), impostor, *lines(900, 910)]
    _, newer, text = read(log, 4096)
    assert PANIC in text and newer


def test_kernel_that_gives_its_log_is_asked_for_it(read: Read) -> None:
    log = [*lines(0, 500), PANIC, *lines(500, 505)]
    assert read(log, 4096, ABOUT, "patched") == read(log, 4096)


def test_kernel_that_cannot_give_its_log_gives_none(read: Read) -> None:
    """Then it returns a negative number."""
    assert read(lines(0, 500), 4096, ABOUT, "failing") == (False, False, "")


def test_long_message_before_it_does_not_end_the_text(read: Read) -> None:
    long = "<6>[    1.000000] ".ljust(999, "y") + "\n"
    older, newer, text = read([long, *lines(0, 100), PANIC, *lines(100, 400)], 832)
    assert PANIC in text
    assert (older, newer) == (True, True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.integers(30, 900), max_size=40),
    after=st.lists(st.integers(30, 900), max_size=80),
    limit=st.integers(832, 4096),
)
def test_the_panic_is_never_missed(read: Read, before: list[int], after: list[int], limit: int) -> None:
    log = [*(lines(1, 2, size)[0] for size in before), PANIC, *(lines(2, 3, size)[0] for size in after)]
    _, _, text = read(log, limit)
    assert PANIC in text
    assert len(text) <= limit
