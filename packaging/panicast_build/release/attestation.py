# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes attestations: in-toto statements in DSSE envelopes, signed with the release key.

The signature covers the content and its type, each with its length before it, and not the envelope.
So nothing else can be read out of the same bytes:
https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import json
import tempfile
from base64 import b64encode
from pathlib import Path

from panicast_build.repository.key import Key

TYPE = "application/vnd.in-toto+json"


def signed_bytes(content: bytes, kind: str = TYPE) -> bytes:
    """Returns the bytes that are signed: DSSE's pre-authentication encoding of a content and its
    type."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(content), content)


def envelope(content: bytes, key: Key | None) -> str:
    """Returns the content in an envelope of one line. With a key it has that key's OpenPGP
    signature, in binary form."""
    signatures = []
    if key:
        with tempfile.TemporaryDirectory() as folder:
            said, signature = Path(folder) / "said", Path(folder) / "signature"
            said.write_bytes(signed_bytes(content))
            key.detached_binary(said, signature)
            signatures = [{"keyid": key.fingerprint, "sig": b64encode(signature.read_bytes()).decode()}]
    made = {"payload": b64encode(content).decode(), "payloadType": TYPE, "signatures": signatures}
    return json.dumps(made) + "\n"
