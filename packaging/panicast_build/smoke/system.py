# SPDX-License-Identifier: GPL-2.0-or-later
"""The system in a guest: commands that succeed or fail the test, and boots that can be told apart."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from panicast_build.smoke.agent import Agent, Output, Refused, Silent
from panicast_build.smoke.failure import SmokeFailure, wait_for
from panicast_build.smoke.repo import MOUNTED
from panicast_build.smoke.vm import Machine

# Under TCG on a busy machine; an idle one boots in 20 s.
BOOT_SECONDS = 480.0
COMMAND_SECONDS = 300.0
# An agent that dies with its guest never answers: it is asked again soon, and the next boot's does.
BOOT_ID_SECONDS = 5.0
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Running:
    """A command that was started in a guest."""

    argv: Sequence[str]
    pid: int


class System:
    """The system inside a machine. It writes all that runs in it, with its output, to transcript."""

    def __init__(self, machine: Machine, transcript: TextIO) -> None:
        self.name = machine.spec.name
        self._machine = machine
        self._transcript = transcript
        self._agent = Agent(machine.spec.agent, machine.check)
        self._boot = ""

    def close(self) -> None:
        """Hangs up; the machine continues."""
        self._agent.close()

    def wait_until_up(self) -> None:
        """Waits until the guest has booted (again, if it was up before) and has started all its
        services."""
        continues = not self._boot and self._machine.spec.memory
        wait_for(f"{self.name} to boot", BOOT_SECONDS, self._has_new_boot)
        if continues:
            # Time has passed, and the packages under test may be others.
            self.run(["date", f"--set=@{time.time():.0f}"])
            self.run(["mount", MOUNTED])
        self.run(["systemctl", "is-system-running", "--wait"], seconds=BOOT_SECONDS, check=False)

    def run(
        self, argv: Sequence[str], *, stdin: str = "", seconds: float = COMMAND_SECONDS, check: bool = True
    ) -> Output:
        """Runs argv to its end. With check, raises SmokeFailure unless it exits with 0."""
        return self.finish(self.start(argv, stdin), seconds=seconds, check=check)

    def start(self, argv: Sequence[str], stdin: str = "") -> Running:
        """Starts argv and returns at once."""
        self._say(f"+ {shlex.join(argv)}")
        return Running(argv, self._agent.start(argv, stdin))

    def finish(self, running: Running, *, seconds: float = COMMAND_SECONDS, check: bool = True) -> Output:
        """Waits for the end of what was started. With check, raises SmokeFailure unless it exits
        with 0."""
        what = f"{self.name}: {shlex.join(running.argv)}"
        try:
            output = self._agent.finish(running.pid, seconds)
        except Silent as silent:
            raise SmokeFailure(f"{what}: {silent}") from silent
        self._say(f"{shlex.join(running.argv)} -> {output.code}\n{output.out}{output.err}".rstrip())
        if check and output.code != 0:
            said = (output.err or output.out).strip().splitlines() or ["no output"]
            raise SmokeFailure(f"{what} failed with exit code {output.code}: {said[-1]}")
        return output

    def abandon(self, argv: Sequence[str], stdin: str = "") -> None:
        """Runs a command that ends this boot; waits neither for an answer nor for its end."""
        self._say(f"+ {shlex.join(argv)} (ends this boot)")
        self._agent.post(argv, stdin)

    def _has_new_boot(self) -> bool:
        self._machine.check()
        if not self._agent.sync():
            return False
        try:
            boot = self._agent.read(BOOT_ID, BOOT_ID_SECONDS)
        except (Silent, Refused):
            # It was on its way down: a question to the agent of one boot may be read by that of the next.
            return False
        if boot == self._boot:
            return False
        self._boot = boot
        self._say(f"booted, {boot.strip()}")
        return True

    def _say(self, text: str) -> None:
        self._transcript.write(f"[{self.name}] {text}\n")
        self._transcript.flush()
