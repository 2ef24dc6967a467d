# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds netconsd, the peer of ./inv bench receiver, from its own source."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from panicast_build.core import progress, tools
from panicast_build.core.errors import UserError
from panicast_build.core.paths import LOGS
from panicast_build.core.run import run

SETTING = "PANICAST_NETCONSD"
PORT = 6664
#: What is changed for a fair comparison: it would cut our datagrams at 1023 bytes, and asks for no buffer.
CHANGES = (
    ("include/listener.h", "#define RCVBUF_SIZE	1024", "#define RCVBUF_SIZE	2048"),
    (
        "listener.c",
        "	ret = bind(fd,",
        "	optval = 256 << 20;\n"
        "	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &optval, sizeof(optval));\n"
        "	ret = bind(fd,",
    ),
)


def build(source: str, scratch: Path) -> Path | None:
    """Builds the program in scratch from the folder source ("": PANICAST_NETCONSD) and returns its
    path. Says so and returns None if neither names one. Raises UserError if the folder is not
    netconsd's source."""
    source = source or os.environ.get(SETTING, "")
    if not source:
        progress.say(f"netconsd is left out: --netconsd FOLDER or {SETTING} names its source")
        return None
    tools.need("gcc", "make")
    folder = scratch / "netconsd"
    if not (Path(source) / "listener.c").exists():
        raise UserError(f"{source} is not the source of netconsd", "it has no listener.c")
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".git"))
    for name, old, new in CHANGES:
        text = (folder / name).read_text()
        if text.count(old) != 1:
            raise UserError(f"{source}/{name} is not as expected", f"it should hold once: {old.strip()}")
        (folder / name).write_text(text.replace(old, new))
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "netconsd.log").open("w") as log:
        run(["make", "netconsd"], cwd=folder, log=log)
    return folder / "netconsd"


def command(program: Path) -> list[str]:
    """Returns the command: one listener and one worker. Without an output module it only
    reassembles netconsole's own format."""
    return [str(program), "-l", "1", "-w", "1", "-u", str(PORT)]
