# SPDX-License-Identifier: GPL-2.0-or-later
"""The setting that says where debug information of kernels is."""

from __future__ import annotations

from pathlib import Path

from .kinds import Setting, parse_names, web_address


def parse_symbols(text: str) -> tuple[list[Path], list[str]]:
    """Return the folders and the servers of the setting. Raises ValueError."""
    folders: list[Path] = []
    servers: list[str] = []
    for one in parse_names(text):
        # A blank would make two servers of one, where elfutils reads them.
        if one.startswith("/"):
            folders.append(Path(one))
        elif " " not in one and one.startswith(("http://", "https://")):
            web_address(one)
            servers.append(one)
        else:
            raise ValueError(one)
    return folders, servers


SYMBOLS: tuple[Setting, ...] = (
    Setting(
        "symbols",
        str,
        "",
        "PLACE[,...]",
        "Where debug information of kernels is, for file and line in traces: folders with vmlinux and "
        "modules by release or build id, such as /usr/lib/debug, and addresses of debuginfod servers, "
        "which are asked by build id. Needs elfutils. Empty: nowhere.",
        check=parse_symbols,
        form="absolute paths of folders and http or https addresses, separated by commas",
        example="/usr/lib/debug,https://debuginfod.example.org",
    ),
)
