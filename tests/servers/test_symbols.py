# SPDX-License-Identifier: GPL-2.0-or-later
"""File and line of a crash: by elfutils, from files with real debug information and from a debuginfod server.

The compiler makes the kernel and the module of these tests; where a call returns is read from their code.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from panicast_build.core import tools
from panicast_receiver.db import places, schema
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.errors import ReceiverError
from panicast_receiver.service.locator import locate
from panicast_receiver.symbols import files, limited, lines
from panicast_receiver.symbols.files import Symbols

from ..unit.receiver.db.test_fleet import record
from .conftest import PATIENCE_S, Server, wait_until

RELEASE = "6.1.0-99-amd64"
#: Two functions of one name, as kernels have many: their lengths tell them apart.
SOURCE = """\
static inline int deep(volatile int *where) { return *where + 1; }
__attribute__((noinline)) int pc_dies(volatile int *where)
{
	return deep(where) * 3;
}
__attribute__((noinline)) int pc_calls(volatile int *where)
{
	int found;

	found = pc_dies(where);
	return found + 1;
}
int main(int argc, char **argv) { return pc_calls(&argc) + !argv; }
"""
TWICE = {
    "one.c": "__attribute__((noinline)) static int pc_same(volatile int *p) { return *p; }\n"
    "int one(volatile int *p) { return pc_same(p) + 1; }\n",
    "other.c": "\n\n__attribute__((noinline)) static int pc_same(volatile int *p)\n{\n"
    + "\t*p = *p * 3 + *p;\n" * 90
    + "\treturn *p; }\nint other(volatile int *p) { return pc_same(p) + 1; }\n"
    "int one(volatile int *);\n"
    "int main(int argc, char **argv) { return one(&argc) + other(&argc) + !argv; }\n",
}


@pytest.fixture(scope="module", autouse=True)
def _elfutils() -> None:
    tools.need("gcc", "eu-addr2line", "eu-nm")


def compiled(folder: Path, target: str, sources: dict[str, str], *flags: str) -> Path:
    """A file with debug information, made of these sources."""
    path = folder / target
    path.parent.mkdir(parents=True, exist_ok=True)
    tree = folder / "source/drivers/pc"
    tree.mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        (tree / name).write_text(text)
    argv = ["gcc", "-g", "-O1", "-fno-pie", *flags, "-o", str(path), *(str(tree / name) for name in sources)]
    subprocess.run(argv, check=True, capture_output=True)
    return path


def kernel(folder: Path) -> Path:
    """A kernel, which has addresses."""
    return compiled(folder, f"vmlinux-{RELEASE}", {"dies.c": SOURCE}, "-no-pie", "-Wl,--build-id=sha1")


def module(folder: Path) -> Path:
    """A module, of which each function has a section of its own."""
    target = f"lib/modules/{RELEASE}/extra/pc-mod.ko"
    return compiled(folder, target, {"dies.c": SOURCE}, "-c", "-ffunction-sections")


def place_of(path: Path, function: str, call: str = "") -> str:
    """Where the kernel would say that a function is left: behind its call of another, else at its start."""
    table = subprocess.run(["eu-nm", "--format=posix", "-S", str(path)], capture_output=True, text=True)
    found = [row.split() for row in table.stdout.splitlines() if row.startswith(f"{function} ")]
    start, length = int(found[0][2], 16), int(found[0][3], 16)
    if not call:
        return f"{function}+0x0/{length:#x}"
    code = subprocess.run(
        ["objdump", "-dr", f"--disassemble={function}", str(path)], capture_output=True, text=True
    ).stdout
    after = re.search(rf"\tcall.*\n(?:.*R_X86_64.*{call}.*\n)? +([0-9a-f]+):", code)
    assert after, code
    return f"{function}+{int(after[1], 16) - start:#x}/{length:#x}"


def told(found: Any) -> list[tuple[str, str, int]]:
    return [(line.function, Path(line.file).name, line.line) for line in found]


def test_a_kernels_place_has_its_line_and_those_of_inlined_functions(tmp_path: Path) -> None:
    image = kernel(tmp_path)
    at, back = f"at {place_of(image, 'pc_dies')}", place_of(image, "pc_calls", "pc_dies")
    found = locate(Symbols([tmp_path], [], tmp_path), RELEASE, [at, back])
    assert told(found[at])[-1][:2] == ("pc_dies", "dies.c")
    assert told(found[at])[0][0] in ("deep", "pc_dies")
    # The line of the call, not the one to which it returns.
    assert told(found[back]) == [("pc_calls", "dies.c", 10)]
    assert found[back][0].file == "drivers/pc/dies.c"


def test_a_modules_place_is_found_in_its_section(tmp_path: Path) -> None:
    made = module(tmp_path)
    back = f"{place_of(made, 'pc_calls', 'pc_dies')} [pc_mod]"
    assert told(locate(Symbols([tmp_path], [], tmp_path), RELEASE, [back])[back]) == [
        ("pc_calls", "dies.c", 10)
    ]
    # Debug information in a file of its own, as distributions have it, is enough.
    apart = tmp_path / f"apart/usr/lib/debug/lib/modules/{RELEASE}/extra/pc-mod.ko.debug"
    apart.parent.mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", str(made), str(apart)], check=True)
    assert told(locate(Symbols([tmp_path / "apart"], [], tmp_path), RELEASE, [back])[back]) == [
        ("pc_calls", "dies.c", 10)
    ]


def test_an_address_without_a_name_is_found(tmp_path: Path) -> None:
    image = kernel(tmp_path)
    table = subprocess.run(["eu-nm", "--format=posix", str(image)], capture_output=True, text=True).stdout
    address = int(re.search(r"^pc_calls \w ([0-9a-f]+)", table, re.MULTILINE)[1], 16)  # type: ignore[index]
    code = f"at {address:#x}"
    assert told(locate(Symbols([tmp_path], [], tmp_path), RELEASE, [code])[code])[0][0] == "pc_calls"


def test_a_name_that_two_functions_have_is_told_apart_by_length_or_not_at_all(tmp_path: Path) -> None:
    image = compiled(tmp_path, f"vmlinux-{RELEASE}", TWICE, "-no-pie", "-O0")
    table = subprocess.run(["eu-nm", "--format=posix", "-S", str(image)], capture_output=True, text=True)
    rows = [row.split() for row in table.stdout.splitlines() if row.startswith("pc_same ")]
    lengths = sorted(int(row[3], 16) for row in rows)
    assert len(lengths) == 2
    codes = [f"at pc_same+0x0/{length:#x}" for length in lengths]
    found = locate(Symbols([tmp_path], [], tmp_path), RELEASE, [*codes, "at pc_same+0x0/0x7fff"])
    assert [told(found[code])[0][1] for code in codes] == ["one.c", "other.c"]
    assert not found["at pc_same+0x0/0x7fff"]


def test_a_kernel_that_was_built_again_gives_no_wrong_line(tmp_path: Path) -> None:
    image = kernel(tmp_path)
    right = place_of(image, "pc_calls", "pc_dies")
    function, _, length = right.partition("/")
    wrong = f"{function}/{int(length, 16) + 512:#x}"
    found = locate(Symbols([tmp_path], [], tmp_path), RELEASE, [right, wrong])
    assert found[right] and not found[wrong]


@pytest.mark.parametrize(
    "release", ["../../etc", "/etc", "", "6.1\n", "..", "6.1.0-99-amd64/../x", "$(id)", "6.1 -e x"]
)
@pytest.mark.parametrize("code", ["f+0x1/0x2 [../../x]", "-e+0x1/0x2", "f+0x1/0x2 [mod]", "f", "at 0xzz"])
def test_what_a_host_makes_up_names_no_file(tmp_path: Path, release: str, code: str) -> None:
    kernel(tmp_path)
    assert not locate(Symbols([tmp_path], [], tmp_path), release, [code])[code]


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(57), random.Random(1).randbytes(4096)]
)
def test_a_file_that_is_none_harms_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"vmlinux-{RELEASE}").write_bytes(content)
    assert not locate(Symbols([tmp_path], [], tmp_path), RELEASE, ["f+0x1/0x2"])["f+0x1/0x2"]


def test_a_damaged_kernel_harms_nobody(tmp_path: Path) -> None:
    image = kernel(tmp_path)
    whole = image.read_bytes()
    code = place_of(image, "pc_calls", "pc_dies")
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        image.write_bytes(whole[:place] + b"\xff" * 16 + whole[place + 16 :])
        locate(Symbols([tmp_path], [], tmp_path), RELEASE, [code])


def test_a_program_has_little_time_and_memory_and_writes_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(ReceiverError, match="longer than 1 s"):
        limited.run(["sh", "-c", "sleep 600 & sleep 600"], patience_s=1.0)
    assert time.monotonic() - began < PATIENCE_S
    with pytest.raises(ReceiverError, match="ended with code"):
        limited.run(["sh", "-c", f"echo much > {tmp_path}/written"])
    with pytest.raises(ReceiverError, match="said more than"):
        limited.run(["sh", "-c", "exec cat /dev/zero"])
    with pytest.raises(ReceiverError, match="ended with code"):
        limited.run(["python3", "-c", f"bytearray({limited.MEMORY * 2})"])
    assert limited.run(["sh", "-c", "ulimit -c"]) == b"0\n"


def test_what_the_unit_forbids_is_not_needed(tmp_path: Path) -> None:
    """Its filter answers EPERM to whoever drops capabilities or changes a nice value."""
    tools.need("strace")
    image = kernel(tmp_path)
    code = place_of(image, "pc_calls", "pc_dies")
    program = (
        "import sys\nfrom pathlib import Path\nfrom panicast_receiver.service.locator import locate\n"
        "from panicast_receiver.symbols.files import Symbols\nfolder = Path(sys.argv[1])\n"
        "print(locate(Symbols([folder], [], folder), sys.argv[2], [sys.argv[3]])[sys.argv[3]][0].line)"
    )
    forbidden = "capset,setpriority,setuid,setgroups,setresuid"
    said = subprocess.run(
        [
            *("strace", "-f", "-o", str(tmp_path / "trace"), "-e", f"trace={forbidden}"),
            *("-e", f"inject={forbidden}:error=EPERM", sys.executable, "-c", program),
            *(str(tmp_path), RELEASE, code),
        ],
        capture_output=True,
        text=True,
    )
    assert said.stdout == "10\n", said.stderr


class Debuginfod(Server):
    """A server that has the debug information of the files in a folder.

    It binds all addresses, so no port of the loopback can be held for it: it tries others until one is free.
    """

    def __init__(self, folder: Path, files: Path) -> None:
        tools.need("debuginfod", "debuginfod-find")
        self.port = secrets.choice(range(20_000, 30_000))
        self.address = f"http://127.0.0.1:{self.port}"
        argv = [str(tools.find("debuginfod")), "-F", "-d", str(folder / f"{self.port}.sqlite")]
        super().__init__([*argv, "-p", str(self.port), "-t", "1", str(files)], folder)

    def state(self, build_id: str) -> str:
        """``ended``, ``has`` (the file with this build id) or nothing yet. Asked without elfutils' client,
        which remembers for ten minutes what was not there."""
        assert self._process
        if self._process.poll() is not None:
            return "ended"
        try:
            with urllib.request.urlopen(f"{self.address}/buildid/{build_id}/debuginfo", timeout=PATIENCE_S):
                return "has"
        except OSError:
            return ""


@pytest.fixture
def debuginfod(folder: Path) -> Iterator[tuple[Debuginfod, str, str]]:
    """A server that runs; a build id that it has; and a place in that file."""
    image = kernel(folder / "files")
    notes = subprocess.run(["readelf", "-n", str(image)], capture_output=True, text=True).stdout
    build_id = re.search(r"Build ID: ([0-9a-f]{40})", notes)[1]  # type: ignore[index]
    place = place_of(image, "pc_calls", "pc_dies")
    for _ in range(10):
        server = Debuginfod(folder, folder / "files")
        with closing(server):
            server.start()
            if wait_until(partial(server.state, build_id), "the server has read the file") == "has":
                yield server, build_id, place
                return
    pytest.fail((folder / "log").read_text())


def test_a_server_is_asked_by_build_id(tmp_path: Path, debuginfod: tuple[Debuginfod, str, str]) -> None:
    server, build_id, place = debuginfod
    symbols = Symbols([], [server.address], tmp_path / "kept")
    code, other = f"{place} [vmlinux {build_id}]", f"{place} [vmlinux {'ab' * 20}]"
    found = locate(symbols, RELEASE, [code, other])
    assert told(found[code]) == [("pc_calls", "dies.c", 10)]
    assert not found[other]
    server.kill()
    # What it sent is kept; and a server that is away is no more than a line that is not known.
    assert told(locate(symbols, RELEASE, [code])[code]) == [("pc_calls", "dies.c", 10)]
    shutil.rmtree(tmp_path / "kept")
    assert not locate(symbols, RELEASE, [code])[code]


def crash_text(image: Path) -> str:
    """What a kernel says that died in pc_dies, called by pc_calls."""
    at = place_of(image, "pc_dies")
    return "\n".join(
        f"<4>[    9.000000] {line}"
        for line in (
            "BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "Oops: 0000 [#1] PREEMPT SMP NOPTI",
            f"CPU: 1 PID: 77 Comm: sh Not tainted {RELEASE} #1",
            f"RIP: 0010:{at}",
            "Call Trace:",
            " <TASK>",
            " ? pc_guess+0x1/0x2",
            f" {place_of(image, 'pc_calls', 'pc_dies')}",
            " pc_unknown+0x4/0x8 [pc_mod]",
            " </TASK>",
            "---[ end trace 0000000000000000 ]---",
            "Kernel panic - not syncing: Fatal exception",
        )
    )


def test_a_record_shows_them(tmp_path: Path, serve: Any, cli: Any) -> None:
    """The service finds them by itself, and `show` tells them."""
    image = kernel(tmp_path / "debug")
    state = tmp_path / "state"
    with closing(Store(state)) as store:
        store.write([record("panic", "a", 1, 1, 0, crash_text(image), release=RELEASE)])
    serve("--symbols", str(tmp_path / "debug"), state_dir=state)

    def shown() -> list[Any]:
        with closing(Reader(state)) as reader:
            return reader.places(reader.select(Query())[0])

    wait_until(shown, "the lines are found")
    by_code = {one["code"].split("+")[0]: one["lines"] for one in shown()}
    assert list(by_code) == ["at pc_dies", "pc_calls", "pc_unknown"]
    assert by_code["pc_calls"] == [{"function": "pc_calls", "file": "drivers/pc/dies.c", "line": 10}]
    assert by_code["pc_unknown"] == []
    with closing(Reader(state)) as reader:
        record_id = reader.select(Query())[0].summary["id"]
    said = subprocess.run(
        [sys.executable, "-m", "panicast_receiver", "show", "--state-dir", str(state), record_id],
        capture_output=True,
        text=True,
    ).stdout
    assert re.search(r"^pc_calls\+\S+ +drivers/pc/dies\.c:10$", said, re.MULTILINE)


def test_what_hosts_make_up_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST", 50)
    with closing(Store(tmp_path)), closing(schema.open_writer(tmp_path / schema.FILE_NAME)) as db:
        for number in range(30):
            places.want(db, f"{number}", [f"f{one}+0x1/0x2" for one in range(40)])
            while found := places.wanted(db):
                places.keep(db, found.kernel, [(code, []) for code in found.codes])
            while places.prune(db):
                pass
        kept = db.execute("SELECT count(*) FROM places").fetchone()[0]
        assert kept == 50
        places.look_again(db)
        assert db.execute("SELECT count(*) FROM places").fetchone()[0] == 0
        assert json.loads("[]") == places.of(db, "1", ["f1+0x1/0x2"])


def test_what_servers_send_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts name build ids: of whole kernels, each a gigabyte, and made up ones, each an empty file."""
    for name, value in (("LARGEST", 1000), ("KEPT", 2000), ("MOST_KEPT", 5)):
        monkeypatch.setattr(files, name, value)
    kept = tmp_path / "kept"
    for number in range(9):
        path = kept / f"{number:040x}" / "debuginfo"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * (300 if number > 5 else 0))
        os.utime(path, (number, number))
    assert files.make_room(kept) == 1000
    assert sorted(int(path.name, 16) for path in kept.iterdir()) == [4, 5, 6, 7, 8]
    (kept / f"{4:040x}" / "debuginfo").write_bytes(b"x" * 500)
    files.make_room(kept)
    assert sorted(int(path.name, 16) for path in kept.iterdir()) == [4, 8]
    assert files.make_room(tmp_path / "none") == 1000


def test_a_place_is_read_as_it_was_written() -> None:
    code = lines.parse("at f.cold+0x1f/0x20 [m-1 0123456789abcdef]")
    assert code == lines.Code(True, "f.cold", 0x1F, 0x20, "m-1", "0123456789abcdef")
    assert lines.parse("0xffffffff81000010") == lines.Code(False, "", 0xFFFFFFFF81000010, 0, "vmlinux", "")
