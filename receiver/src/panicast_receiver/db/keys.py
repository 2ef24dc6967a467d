# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds records by what they are known by: identity, id, host, Ethernet address.

Such keys come in no order, so each new record changes a page of its own in each of their indexes.
In a large database that takes longer than all else. So these indexes have two parts: records whose
meaning nobody has looked for yet, of which there are few, and the others. Who stores a record
writes in the first part only. It goes over to the other one when its meaning is stored.
"""

from __future__ import annotations

#: What an index begins with, and how a condition says that both parts are meant.
PART = "(signature IS NULL)"
IN_BOTH = f"{PART} IN (0, 1)"
SCHEMA = f"""
CREATE UNIQUE INDEX records_by_identity ON records ({PART}, identity);
CREATE INDEX records_by_id ON records ({PART}, id);
CREATE INDEX records_by_host ON records ({PART}, host, number);
CREATE INDEX records_by_mac ON records ({PART}, mac, flags & 1, received_ns) WHERE format = 'v1';
"""


def either(where: str, order: str = "") -> str:
    """Return what to select from to get the records of both parts for which a condition on a key
    holds. Its values are numbered (?1), for they are needed twice.

    With an ``order`` that ends in a limit, each part gives no more than that.
    """
    parts = (f"SELECT * FROM records WHERE {PART} = {part} AND {where} {order}" for part in (0, 1))
    if order:
        parts = (f"SELECT * FROM ({part})" for part in parts)
    return f"({' UNION ALL '.join(parts)}) AS records"
