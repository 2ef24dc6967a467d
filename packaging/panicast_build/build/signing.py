# SPDX-License-Identifier: GPL-2.0-or-later
"""The key that signs a kernel's modules: a PEM file with the private key and its certificate."""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from panicast_build.core import tools
from panicast_build.core.errors import UserError
from panicast_build.core.run import run
from panicast_build.engine.container import Container

SETTING = "PANICAST_MODULE_KEY"
# Where it lies while modules are signed: in memory.
FOLDER, NAME = "/key", "module-signing-key.pem"
TMPFS = {FOLDER: "size=1m,mode=755"}
# Kbuild's own variable for the passphrase of a key that has one. No container is given it.
PIN = "KBUILD_SIGN_PIN"
# Writes the key, as long as it is, to its file, which only its user can read.
WRITE = 'umask 077 && head -c "$1" > "$0" && chown "$2" "$0"'
PART = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
MAKE = (
    "make one: openssl req -new -x509 -newkey rsa:4096 -sha256 -nodes -days 3650 "
    "-subj '/CN=our kernel modules/' -addext keyUsage=digitalSignature -keyout key.pem -out certificate.pem; "
    "cat key.pem certificate.pem > module-key.pem"
)


@dataclass(frozen=True)
class ModuleKey:
    """A key to sign with. certificate (DER) and fingerprint, which is its hash, are not secret."""

    pem: bytes
    certificate: bytes
    fingerprint: str

    @property
    def path(self) -> str:
        """Returns where the key is while modules are signed."""
        return f"{FOLDER}/{NAME}"

    def give(self, box: Container, user: str) -> None:
        """Writes the key into the memory of a container that has TMPFS. user can read it."""
        box.feed(["sh", "-c", WRITE, self.path, str(len(self.pem)), user], self.pem)


def load(name: str) -> ModuleKey | None:
    """Returns the key in the file called name, or in the one that PANICAST_MODULE_KEY names; None
    for neither. Raises UserError for a file without both parts."""
    chosen = name or os.environ.get(SETTING, "")
    if not chosen:
        return None
    try:
        pem = Path(chosen).expanduser().read_bytes()
    except OSError as error:
        raise UserError(f"the module key {chosen} cannot be read: {error.strerror}", MAKE) from error
    parts = {match[1].decode(): match[0] for match in PART.finditer(pem)}
    certificate = parts.get("CERTIFICATE")
    private = next((part for name, part in parts.items() if name.endswith("PRIVATE KEY")), None)
    if certificate is None or private is None:
        raise UserError(f"{chosen} must hold a private key and its certificate, both in PEM", MAKE)
    if b"ENCRYPTED" in private:
        pem = pem.replace(private, _decrypted(chosen))
    try:
        der = ssl.PEM_cert_to_DER_cert(certificate.decode())
    except ValueError as error:
        raise UserError(f"the certificate in {chosen} is broken: {error}", MAKE) from error
    return ModuleKey(pem, der, hashlib.sha256(certificate).hexdigest())


def _decrypted(chosen: str) -> bytes:
    """Returns the private key of a file without its passphrase, so that no container needs to know
    it."""
    if PIN not in os.environ:
        raise UserError(f"the private key in {chosen} has a passphrase", f"set {PIN} to it")
    tools.need("openssl")
    openssl, path = tools.find("openssl") or "", str(Path(chosen).expanduser())
    opened = run([openssl, "pkey", "-in", path, "-passin", f"env:{PIN}"], check=False)
    if opened.code:
        raise UserError(f"{PIN} is not the passphrase of the private key in {chosen}")
    return opened.output.strip().encode()
