# SPDX-License-Identifier: GPL-2.0-or-later
"""The key that signs repositories. All uses of it are here, and GnuPG does them."""

from __future__ import annotations

import re
import tempfile
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
    """A key in the user's GnuPG keyring, by its fingerprint. Signing needs a secret key."""

    fingerprint: str

    def created(self) -> int:
        """Returns when the key was made, in seconds since 1970."""
        listed = _gpg("--with-colons", "--list-keys", self.fingerprint)
        return next(int(line.split(":")[5]) for line in listed.splitlines() if line.startswith("pub:"))

    def changed(self) -> int:
        """Returns when the key was last changed, e.g. extended, in seconds since 1970."""
        listed = _gpg("--with-colons", "--list-sigs", self.fingerprint)
        return max(int(line.split(":")[5]) for line in listed.splitlines() if line.startswith("sig:"))

    def clearsign(self, path: Path, into: Path) -> None:
        """Writes a text with its signature in it to a file."""
        self._sign(["--armor", "--clearsign"], path, into)

    def detached(self, path: Path, into: Path) -> None:
        """Writes the armored signature of a file to another."""
        self._sign(["--armor", "--detach-sign"], path, into)

    def detached_binary(self, path: Path, into: Path) -> None:
        """Writes the signature of a file to another, in binary form."""
        self._sign(["--detach-sign"], path, into)

    def _sign(self, how: Sequence[str], path: Path, into: Path) -> None:
        _gpg("--local-user", self.fingerprint, "--output", into, *how, path)

    def sign_rpms(self, paths: Sequence[Path]) -> None:
        """Signs RPMs in place."""
        if not paths:
            return
        tools.need("rpmsign")
        # Debian's rpm looks for a gpg2 that Debian has not.
        macros = {"_gpg_name": self.fingerprint, "__gpg": tools.find("gpg") or "gpg"}
        defines = [word for name, body in macros.items() for word in ("--define", f"{name} {body}")]
        run([tools.find("rpmsign") or "", "--addsign", *defines, *paths])


def export(keys: Sequence[Key], into: Path) -> None:
    """Writes public keys to a file, in binary form."""
    fingerprints = [key.fingerprint for key in keys]
    _gpg("--output", into, "--export-options", "export-minimal", "--export", *fingerprints)


def export_text(keys: Sequence[Key], into: Path) -> None:
    """Writes public keys to a file, armored, each in a block of its own: rpm reads only the first
    key of a block."""
    with tempfile.TemporaryDirectory() as folder:
        part, blocks = Path(folder) / "key", []
        for key in keys:
            options = ("--armor", "--export-options", "export-minimal")
            _gpg(*options, "--output", part, "--export", key.fingerprint)
            blocks.append(part.read_text())
    into.write_text("".join(blocks))


def find(name: str) -> Key:
    """Returns the secret key that GnuPG knows by a name, an address or a fingerprint. Raises
    UserError unless there is exactly one."""
    return _find(name, "secret", "sec")


def find_public(name: str) -> Key:
    """Returns the public key that GnuPG knows by a name, an address or a fingerprint. Raises
    UserError unless there is exactly one."""
    return _find(name, "public", "pub")


def _find(name: str, kind: str, record: str) -> Key:
    try:
        listed = _gpg("--with-colons", f"--list-{kind}-keys", name)
    except UserError as error:
        raise UserError(
            f"GnuPG has no {kind} key {name}", f"gpg --list-{kind}-keys lists them (GNUPGHOME)"
        ) from error
    # A fingerprint follows each key, and each of its subkeys.
    found = re.findall(rf"^{record}:(?:.*\n)+?fpr:+([0-9A-F]+):", listed, re.MULTILINE)
    if len(found) != 1:
        raise UserError(f"{len(found)} {kind} keys are called {name}", "name one by its fingerprint")
    return Key(found[0])
