# SPDX-License-Identifier: GPL-2.0-or-later
"""The key that repositories are signed with: all that uses it is here, and GnuPG does it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panicast_build.core import tools
from panicast_build.core.errors import UserError
from panicast_build.core.run import run


def _gpg(*arguments: str | Path) -> str:
    tools.need("gpg")
    return run([tools.find("gpg") or "", "--batch", "--yes", "--quiet", *arguments]).output


@dataclass(frozen=True)
class Key:
    """A secret key in the user's GnuPG keyring, by its fingerprint."""

    fingerprint: str

    def export(self, into: Path) -> None:
        """Writes the public key, in binary form, to a file."""
        _gpg("--output", into, "--export-options", "export-minimal", "--export", self.fingerprint)

    def export_text(self, into: Path) -> None:
        """Writes the public key, armored, to a file."""
        _gpg("--armor", "--output", into, "--export-options", "export-minimal", "--export", self.fingerprint)

    def changed(self) -> int:
        """When the key was last changed, e.g. made to live longer, in seconds since 1970."""
        listed = _gpg("--with-colons", "--list-sigs", self.fingerprint)
        return max(int(line.split(":")[5]) for line in listed.splitlines() if line.startswith("sig:"))

    def clearsign(self, path: Path, into: Path) -> None:
        """Writes a text with its signature in it to a file."""
        self._sign("--clearsign", path, into)

    def detached(self, path: Path, into: Path) -> None:
        """Writes the armored signature of a file to another."""
        self._sign("--detach-sign", path, into)

    def _sign(self, how: str, path: Path, into: Path) -> None:
        _gpg("--local-user", self.fingerprint, "--armor", "--output", into, how, path)

    def sign_rpms(self, paths: Sequence[Path]) -> None:
        """Signs RPMs, each in its file."""
        if not paths:
            return
        tools.need("rpmsign")
        # Debian's rpm looks for a gpg2 that Debian has not.
        macros = {"_gpg_name": self.fingerprint, "__gpg": tools.find("gpg") or "gpg"}
        defines = [word for name, body in macros.items() for word in ("--define", f"{name} {body}")]
        run([tools.find("rpmsign") or "", "--addsign", *defines, *paths])


def find(name: str) -> Key:
    """The secret key that GnuPG knows by a name, an address or a fingerprint; UserError unless it is one."""
    try:
        listed = _gpg("--with-colons", "--list-secret-keys", name)
    except UserError as error:
        raise UserError(
            f"GnuPG has no secret key {name}", "gpg --list-secret-keys lists those that it has (GNUPGHOME)"
        ) from error
    # A fingerprint follows each key, and each of its subkeys.
    found = re.findall(r"^sec:(?:.*\n)+?fpr:+([0-9A-F]+):", listed, re.MULTILINE)
    if len(found) != 1:
        raise UserError(f"{len(found)} secret keys are called {name}", "name one by its fingerprint")
    return Key(found[0])
