# SPDX-License-Identifier: GPL-2.0-or-later
"""The key that signs a kernel's modules: a PEM file with the private key and its certificate."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from panicast_build.core.errors import UserError

SETTING = "PANICAST_MODULE_KEY"
# Where it lies while modules are signed.
FOLDER, NAME = "/key", "module-signing-key.pem"
# Kbuild's own variable for the passphrase of a key that has one.
PIN = "KBUILD_SIGN_PIN"
PART = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
MAKE = (
    "make one: openssl req -new -x509 -newkey rsa:4096 -sha256 -nodes -days 3650 "
    "-subj '/CN=our kernel modules/' -addext keyUsage=digitalSignature -keyout key.pem -out certificate.pem; "
    "cat key.pem certificate.pem > module-key.pem"
)


@dataclass(frozen=True)
class Key:
    """A key to sign with. fingerprint is its certificate's; it identifies the key and is not
    secret."""

    pem: bytes
    fingerprint: str

    @property
    def path(self) -> str:
        """Returns where the key is while modules are signed."""
        return f"{FOLDER}/{NAME}"


def load(name: str) -> Key | None:
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
    if certificate is None or not any(name.endswith("PRIVATE KEY") for name in parts):
        raise UserError(f"{chosen} must hold a private key and its certificate, both in PEM", MAKE)
    return Key(pem, hashlib.sha256(certificate).hexdigest())


def pin() -> dict[str, str]:
    """Returns the variable with a key's passphrase, if it has one."""
    return {PIN: os.environ[PIN]} if PIN in os.environ else {}
