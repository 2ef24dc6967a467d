# SPDX-License-Identifier: GPL-2.0-or-later
"""The administrator's program gets the record, and nothing of the service's: no right, no file, no time."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from panicast_receiver.errors import UsageError
from panicast_receiver.sinks import Notice, confined, hook
from panicast_receiver.sinks.hook import Hook

from ..conftest import PATIENCE_S

HOSTILE = "a\nPANICAST_TYPE=test\0\x1b[2J\u202e$(id)`id`%n\udcff"
RECORD = {
    "id": "abc",
    "type": "panic",
    "host": HOSTILE,
    "reason": "r",
    "title": "t",
    "signature": "",
    "received": "now",
}
TOLD = Notice({**RECORD, "text": "x" * (1 << 20)}, "line")
landlocked = pytest.mark.skipif(confined.landlock_version() == 0, reason="needs a kernel with Landlock")


@pytest.fixture
def answer():
    """Where programs of the tests say what they saw, for they can write nowhere; returns what one said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        said = []

        def listen():
            with server.accept()[0] as client, client.makefile() as lines:
                said.append(lines.read())

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()

        def wait():
            thread.join(PATIENCE_S)
            return json.loads(said[0])

        wait.port = server.getsockname()[1]
        wait.said = said
        yield wait


def program(folder, body):
    """An executable of the system's Python, for ours may lie where no program of a hook may look."""
    path = folder / "program"
    path.write_text(f"#!/usr/bin/python3 -IS\n{body}")
    path.chmod(0o755)
    return str(path)


def tell(answer, expression, setup="import os, sys"):
    """A program that says what ``expression`` is."""
    return (
        f"{setup}\nimport json, socket\nvalue = {expression}\n"
        f"s = socket.create_connection(('127.0.0.1', {answer.port}))\n"
        "s.sendall(json.dumps(value).encode())\n"
    )


def test_it_gets_the_record_and_a_clean_environment(tmp_path, answer, monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("LD_PRELOAD_OF_OURS", "x")
    Hook(program(tmp_path, tell(answer, "[dict(os.environ), sys.stdin.read()]"))).deliver([TOLD])
    environment, document = answer()
    assert json.loads(document) == TOLD.record
    ours = {name: value for name, value in environment.items() if name.startswith("PANICAST_")}
    assert set(ours) == {"PANICAST_" + key.upper() for key in RECORD}
    assert ours["PANICAST_HOST"] == "a\\x0aPANICAST_TYPE=test\\x00\\x1b[2J\\u202e$(id)`id`%n\\udcff"
    assert set(environment) - set(ours) <= {"PATH", "LANG", "HOME", "LC_CTYPE"}


def test_no_value_is_too_long_for_the_program_to_start(tmp_path, answer):
    """A datagram has room for a reason of 64 KiB, which is four times as long once it is escaped."""
    record = {**TOLD.record, "reason": "\x1b" * 60000, "title": "\N{SNOWMAN}" * 60000}
    seen = "[os.environ['PANICAST_REASON'], os.environ['PANICAST_TITLE'], sys.stdin.read()]"
    Hook(program(tmp_path, tell(answer, seen))).deliver([Notice(record, "line")])
    reason, title, document = answer()
    assert (
        reason.startswith("\\x1b\\x1b") and title.startswith("\N{SNOWMAN}") and reason[-1] == title[-1] == "…"
    )
    assert all(4000 < len(text.encode()) <= 4096 for text in (reason, title))
    assert json.loads(document) == record


def test_it_has_no_capability_and_no_signal_is_blocked(tmp_path, answer):
    status = (
        "[system.prctl(39, 0, 0, 0, 0), [system.prctl(23, n, 0, 0, 0) for n in range(40)], held(), "
        "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))]"
    )
    setup = (
        "import ctypes, os, signal, struct, sys\nsystem = ctypes.CDLL(None)\n"
        "def held():\n"
        "    data = ctypes.create_string_buffer(24)\n"
        "    system.capget(struct.pack('=Ii', 0x20080522, 0), data)\n"
        "    return data.raw.hex()\n"
    )
    path = program(tmp_path, tell(answer, status, setup))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    try:
        Hook(path).deliver([TOLD])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    no_new, bounding, held, blocked = answer()
    assert (no_new, held, blocked) == (1, "00" * 24, [])
    assert os.geteuid() or not any(bounding)


@landlocked
def test_it_reads_no_key_and_no_record_and_writes_nothing(tmp_path, answer):
    keys, state = tmp_path / "keys", tmp_path / "state"
    keys.write_text("key")
    state.mkdir()
    (state / "panicast.db").write_text("records")
    tries = [
        ("open", str(keys), "r"),
        ("open", str(state / "panicast.db"), "r"),
        ("open", str(state / "new"), "w"),
        ("open", str(tmp_path / "new"), "w"),
        ("open", "/tmp/panicast-hook-test", "w"),
        ("open", f"/proc/{os.getpid()}/environ", "r"),
        ("remove", str(keys)),
        ("rmdir", str(state)),
        ("open", "/etc/passwd", "r"),
        ("open", "/dev/null", "w"),
    ]
    setup = (
        "import os, sys\n"
        "def tried(name, *arguments):\n"
        "    try:\n"
        "        (open if name == 'open' else getattr(os, name))(*arguments)\n"
        "    except OSError as error:\n"
        "        return error.errno\n"
        "    return 0\n"
    )
    path = program(tmp_path, tell(answer, f"[tried(*one) for one in {tries!r}]", setup))
    Hook(path, [keys, state]).deliver([TOLD])
    assert answer() == [13] * 8 + [0, 0]
    assert keys.exists() and not Path("/tmp/panicast-hook-test").exists()


@pytest.mark.parametrize("how", ["hang", "closed", "spam"])
def test_what_hangs_is_ended_with_all_that_it_began(tmp_path, answer, monkeypatch, how):
    # Its time is over once it has told what it began, however long that takes here.
    clock = SimpleNamespace(sleep=time.sleep, monotonic=lambda: time.monotonic() + 1e6 * len(answer.said))
    monkeypatch.setattr(hook, "time", clock)
    monkeypatch.setattr(hook, "_TIMEOUT_S", 2.0 * PATIENCE_S)
    waits = {
        "hang": "time.sleep(600)",
        "closed": "os.close(2); time.sleep(600)",
        "spam": "[os.write(2, b'x' * 65536) for _ in iter(int, 1)]",
    }
    body = (
        "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(600)\n"
        + tell(answer, "[os.getpid(), pid]")
        + f"s.close()\n{waits[how]}\n"
    )
    with pytest.raises(OSError, match="did not end within"):
        Hook(program(tmp_path, "import os, time\n" + body)).deliver([TOLD])
    assert [alive(pid) for pid in answer()] == [False, False]


def test_what_it_leaves_behind_ends_with_it(tmp_path, answer):
    body = "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(600)\n" + tell(answer, "pid")
    Hook(program(tmp_path, body)).deliver([TOLD])
    assert not alive(answer())


def alive(pid):
    """Whether a process runs, after the time in which it may end."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.05)
    return True


def test_what_it_says_at_the_end_is_told(tmp_path):
    path = program(tmp_path, "import sys\nsys.stderr.write('x' * 200000 + 'broken')\nsys.exit(3)\n")
    with pytest.raises(OSError, match=r"ended with 3: x+broken$") as caught:
        Hook(path).deliver([TOLD])
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_program_that_is_not_there_is_found_at_the_start(tmp_path, mode):
    path = tmp_path / "hook"
    if mode:
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
    with pytest.raises(UsageError, match="is not there" if mode is None else "may not be run by us"):
        Hook(str(path))


def test_where_the_kernel_cannot_confine_it_that_is_said(monkeypatch, caplog):
    monkeypatch.setattr(confined, "landlock_version", lambda: 0)
    monkeypatch.setattr(hook.logger, "propagate", True)
    Hook("/bin/true")
    assert "no Landlock" in caplog.text


def test_the_services_children_have_no_capability_of_its():
    """Whether root or, as in its unit, by the ambient set alone."""
    if os.geteuid():
        pytest.skip("needs root: it gives a capability")
    user = ("--reuid=65534", "--regid=65534", "--clear-groups")
    given = ("setpriv", *user, "--inh-caps=+net_raw", "--ambient-caps=+net_raw")
    script = (
        "import subprocess, sys; sys.path[:0] = sys.argv[1:]; "
        "from panicast_receiver.service import privileges; "
        "show = ['grep', '^CapEff', '/proc/self/status']; "
        "before = subprocess.check_output(show); privileges.keep_from_children(); "
        "own = subprocess.check_output(['grep', '^CapEff', '/proc/%d/status' % __import__('os').getpid()]); "
        "print(before, subprocess.check_output(show), own)"
    )
    # A copy that other users may read, wherever this tree lies.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        package = Path(confined.__file__).parents[1]
        shutil.copytree(package, Path(folder) / package.name)
        argv = [*given, "/usr/bin/python3", "-c", script, folder]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("0000000000002000") == 2 and done.stdout.count("0000000000000000") == 1


def test_only_what_no_secret_lies_in_is_open(tmp_path):
    (tmp_path / "hook").write_text("")
    found = {str(path) for path in confined.open_to(tmp_path / "hook", [tmp_path / "keys"])}
    assert "/usr" in found and "/etc/passwd" in found and str(tmp_path / "hook") in found
    assert not found & {"/", "/etc", "/var", "/tmp", "/proc", "/etc/panicast", str(tmp_path)}
    assert str(tmp_path) in {str(path) for path in confined.open_to(tmp_path / "hook", [])}
    assert not {str(p) for p in confined.open_to(tmp_path / "hook", [Path("/usr/x")])} & {"/usr"}
    assert stat.S_ISREG((tmp_path / "hook").stat().st_mode)
