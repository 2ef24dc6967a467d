# SPDX-License-Identifier: GPL-2.0-or-later
"""The smoke test's scenario: two machines with the packages, a crash in each format, the records."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from panicast_build.smoke import compiled
from panicast_build.smoke.failure import SmokeFailure, wait_for
from panicast_build.smoke.family import Tool
from panicast_build.smoke.routed import FarSegment
from panicast_build.smoke.system import System

SERVER, LOG_HOST = "server", "log-host"
DKMS, COMMON, RECEIVER = "panicast-dkms", "panicast-common", "panicast-receiver"
SERVICE, WEB_SERVICE = "panicast-receiver.service", "panicast-receiver-web.service"
WEB_PAGE = "http://127.0.0.1:6680"
# Prints what is at an address; guests have no curl.
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=240).read().decode())"
OPTIONS_FILE = "/etc/modprobe.d/panicast.conf"
# A part of the module, compiled in the middle of its build; the wait for it, while the build's process runs.
BUILT_IN_PART = "/var/lib/dkms/panicast/*/build/main.o"
WHILE_IT_RUNS = "until test -e {path}; do kill -0 {pid} || exit 1; sleep 0.5; done"
MODULE_FOLDER = "/sys/module/panicast"
# What the text of a record must hold to be this crash's: the panic line, and its call trace.
EVIDENCE = ("Kernel panic - not syncing: sysrq triggered crash", "sysrq_handle_crash")
# A module build in an emulated machine; a record on its way; a card that waits for its link.
INSTALL_SECONDS = 1800.0
RECORD_SECONDS = 120.0
ARMED_SECONDS = 120.0

Record = dict[str, Any]
Step = Callable[[str], AbstractContextManager[None]]


class Stage(ABC):
    """The two guests, and what was seen of them: records (panics, from list --json), kernels (by
    guest).

    A scenario sets server when it has one.
    """

    _server: System

    def __init__(self, log_host: System, tool: Tool, step: Step) -> None:
        self._log_host = log_host
        self._tool = tool
        self._step = step
        self.records: list[Record] = []
        self.kernels: dict[str, str] = {}

    @abstractmethod
    def tell(self) -> None:
        """Runs the whole scenario. Raises SmokeFailure if it goes another way."""

    def _boot(self, *guests: System) -> None:
        for guest in guests:
            guest.wait_until_up()
            self.kernels[guest.name] = guest.run(["uname", "-r"]).out.strip()

    def _service_is_active(self) -> None:
        state = self._log_host.run(["systemctl", "is-active", SERVICE], check=False).out.strip()
        if state != "active":
            raise SmokeFailure(f"{SERVICE} is {state or 'unknown'} after its installation, not active")

    def _module_is_armed(self) -> None:
        self._server.run(["test", "-d", MODULE_FOLDER])
        wait_for("panicast-ctl status to find nothing wrong", ARMED_SECONDS, self._status_is_good)

    def _status_is_good(self) -> bool:
        # An empty file, which is what a power cut can leave of a script, succeeds without a word.
        status = self._server.run(["panicast-ctl", "status"], check=False)
        return status.code == 0 and bool(status.out)

    def _panic(self) -> None:
        # What the crash shall not lose: files that the installation and this story have written.
        self._server.run(["sync"])
        self._server.abandon(["tee", "/proc/sysrq-trigger"], stdin="c")

    def _reboot(self) -> None:
        self._server.abandon(["systemctl", "reboot"])
        self._server.wait_until_up()
        wait_for("the server's bye on the log host", RECORD_SECONDS, lambda: self._of_type("bye"))
        self._module_is_armed()

    def _crash(self, form: str) -> None:
        """Crashes the server, which must come back by itself and leave one more record with the
        evidence."""

        def crash() -> None:
            self._panic()
            self._server.wait_until_up()

        self._record(form, crash)

    def _record(self, form: str, crash: Callable[[], None]) -> str:
        """Returns the text of the one complete record, with the evidence, that a crash left."""
        known = {record["id"] for record in self._of_type("panic")}
        crash()
        new = wait_for("a record of the crash", RECORD_SECONDS, lambda: self._new_panics(known))
        if len(new) != 1:
            raise SmokeFailure(f"one crash left {len(new)} records of type panic: {_ids(new)}")
        record = new[0]
        self.records.append(record)
        if record["format"] != form or not record["complete"]:
            got = f"format {record['format']}, complete: {record['complete']}"
            raise SmokeFailure(f"expected one complete {form} record of the crash, got one of {got}")
        text = self._log_host.run([RECEIVER, "show", str(record["id"]), "--raw"]).out
        if missing := [words for words in EVIDENCE if words not in text]:
            raise SmokeFailure(f"record {record['id']} does not hold {' or '.join(map(repr, missing))}")
        return text

    def _of_type(self, kind: str) -> list[Record]:
        listed = self._log_host.run([RECEIVER, "list", "--all", "--json"]).out
        return [record for record in json.loads(listed) if record["type"] == kind]

    def _new_panics(self, known: set[str]) -> list[Record]:
        return [record for record in self._of_type("panic") if record["id"] not in known]


class Story(Stage):
    """Takes the packages through their life on stock kernels."""

    def __init__(self, server: System, log_host: System, tool: Tool, step: Step) -> None:
        super().__init__(log_host, tool, step)
        self._server = server
        self._far: FarSegment

    def tell(self) -> None:
        """See Stage."""
        with self._step("both guests boot"):
            self._boot(self._server, self._log_host)
        with self._step(
            f"{self._tool.name} installs both packages; the server is cut off in the module's build"
        ):
            self._install_in_a_power_cut()
        with self._step(f"the commands that {self._tool.name} asks for complete the installation"):
            for argv in self._tool.repair:
                self._server.run([*compiled.USED, *argv], seconds=INSTALL_SECONDS)
        with self._step("the service is active, the module armed"):
            self._service_is_active()
            self._module_is_armed()
        with self._step("the server is cut off once more; the installed module is on its disk and loads"):
            self._cut_off()
            self._module_is_armed()
        with self._step("the server reboots gracefully and says bye; the module loads by itself"):
            self._reboot()
        with self._step("a test record arrives"):
            self._send_test()
        with self._step(
            "a receiver behind a router answers a test, sealed if it was, and none if it is gone"
        ):
            self._test_is_answered()
        with self._step("a crash is recorded in format v1, on both sides of the router"):
            self._crash("v1")
            if not _complete(self._far.panics()):
                raise SmokeFailure("no whole record of the crash is behind the router")
        if self._tool.recommends:
            with self._step("the web page, started by systemd, shows the crash"):
                self._web_page_shows(self.records[-1])
        with self._step("settings that the module refuses leave it loaded with those that it had"):
            self._refuse_settings()
        with self._step("the module is reloaded with format=raw"):
            self._set_option("format=raw")
            self._server.run(["panicast-ctl", "reload"])
            self._module_is_armed()
        with self._step("a crash is recorded in format raw"):
            self._crash("raw")
        with self._step("removing unloads the module and leaves nothing"):
            self._purge()

    def _install_in_a_power_cut(self) -> None:
        """Cuts the server's power in the middle of a build: what is not on its disk by then is
        lost."""
        pairs = ((self._server, DKMS), (self._log_host, RECEIVER))
        for guest, _ in pairs:
            if self._tool.refresh:
                guest.run(self._tool.refresh)
        on_server, on_log_host = (guest.start([*self._tool.install, package]) for guest, package in pairs)
        waiting = ["sh", "-c", WHILE_IT_RUNS.format(pid=on_server.pid, path=BUILT_IN_PART)]
        self._server.run(waiting, seconds=INSTALL_SECONDS)
        self._cut_off()
        if self._server.run(["test", "-e", MODULE_FOLDER], check=False).code == 0:
            raise SmokeFailure("the module is loaded though its build was cut off: this test proves nothing")
        self._log_host.finish(on_log_host, seconds=INSTALL_SECONDS)
        if self._tool.start:
            self._log_host.run(self._tool.start)

    def _cut_off(self) -> None:
        self._server.abandon(["tee", "/proc/sysrq-trigger"], stdin="b")
        self._server.wait_until_up()

    def _send_test(self) -> None:
        self._server.run(["panicast-ctl", "test"])
        wait_for("a complete test record", RECORD_SECONDS, lambda: _complete(self._of_type("test")))

    def _test_is_answered(self) -> None:
        self._far = far = FarSegment(self._server, self._log_host)
        far.aim()
        # Of these systems some have no library that opens seals.
        if self._tool.recommends:
            key = self._log_host.run([RECEIVER, "keygen", "--id", "9"]).out
            far.serve(key)
            self._server.run(["panicast-ctl", "key"], stdin=key)
            far.ask(answers=True, sealed=True)
            self._server.run(["panicast-ctl", "key"], stdin="none")
            far.stop()
        far.ask(answers=False)
        far.serve()
        far.ask(answers=True)

    def _web_page_shows(self, record: Record) -> None:
        # Its unit says when the page can be read; so does this command.
        self._log_host.run(["systemctl", "enable", "--now", WEB_SERVICE])
        page = self._log_host.run(["python3", "-c", FETCH, f"{WEB_PAGE}/records/{record['id']}"]).out
        if missing := [words for words in EVIDENCE if words not in page]:
            raise SmokeFailure(f"the page of record {record['id']} lacks {', '.join(missing)}: {page}")

    def _set_option(self, option: str) -> None:
        self._server.run(["tee", "-a", OPTIONS_FILE], stdin=f"options panicast {option}\n")

    def _refuse_settings(self) -> None:
        """Gives the module a setting that is not the default, and then one that it refuses."""
        self._server.run(["cp", OPTIONS_FILE, f"{OPTIONS_FILE}.right"])
        self._set_option("kib=48")
        self._server.run(["panicast-ctl", "reload"])
        self._set_option("kib=abc")
        said = self._server.run(["panicast-ctl", "reload"], check=False)
        if said.code == 0 or "kib=abc refused" not in said.err:
            raise SmokeFailure(f"panicast-ctl reload does not say that kib=abc is refused: {said}")
        if (kib := self._server.run(["cat", f"{MODULE_FOLDER}/parameters/kib"]).out.strip()) != "48":
            raise SmokeFailure(f"after a refused setting kib is {kib}, not 48 as before")
        self._module_is_armed()
        self._server.run(["mv", f"{OPTIONS_FILE}.right", OPTIONS_FILE])

    def _purge(self) -> None:
        self._server.run([*self._tool.remove, DKMS, COMMON])
        self._server.run(["test", "!", "-e", MODULE_FOLDER])
        if self._tool.purge:
            self._server.run([*self._tool.purge, DKMS, COMMON])
        places = ["/etc", "/usr", "/var/lib", "-not", "-path", "/var/lib/apt/*"]
        found = self._server.run(["find", *places, "-name", "*panicast*"]).out.split()
        if left := sorted(set(found) - set(self._tool.keeps)):
            raise SmokeFailure(f"removing {DKMS} left {', '.join(left)}")


def _complete(records: list[Record]) -> list[Record]:
    return [record for record in records if record["complete"]]


def _ids(records: list[Record]) -> str:
    return ", ".join(str(record["id"]) for record in records)
