# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds records by their keys: identity, id, host, Ethernet address.

Keys come in random order, so each new record changes another page of each index. In a large
database that takes longer than everything else. So these indexes have two parts: the few records
that are not analysed yet, and the others. Storing a record writes only to the first part. The
record moves to the other part when its meaning is stored.
"""

from __future__ import annotations

#: What an index begins with, and how a condition says that both parts are meant.
PART = "(signature IS NULL)"
IN_BOTH = f"{PART} IN (FALSE, TRUE)"
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
    parts = (f"SELECT * FROM records WHERE {PART} = {part} AND {where} {order}" for part in ("FALSE", "TRUE"))
    if order:
        parts = (f"SELECT * FROM ({part}) AS part" for part in parts)
    return f"({' UNION ALL '.join(parts)}) AS records"
