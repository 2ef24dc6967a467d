# SPDX-License-Identifier: GPL-2.0-or-later
"""Deletes from the central store what need not be kept, some of it in each transaction.

The order is that of a receiver's own database (db/retention.py): nothing unsealed keeps anything
sealed from being kept. Sealed hosts are not forgotten by age, so whoever has sealed is known.
"""

from __future__ import annotations

import time

import psycopg2.extensions

from ..db import numbers
from ..db.retention import BATCH, Retention
from . import boots, taking
from .tables import WORTH

#: Share of the size that boots have, and what one takes.
_BOOTS_SHARE, _BOOT_BYTES, _FEW = 8, 1024, 256
_OLD = """
INSERT INTO told (identity)
SELECT identity FROM records WHERE number < %(number)s AND received_ns < %(before)s
ORDER BY number LIMIT %(most)s
"""
#: The size of all records is counted: that of the files does not shrink before PostgreSQL uses them again.
_TOO_MUCH = "SELECT coalesce(sum(size), 0)::bigint - %s FROM type_tallies"
_LEAST = f"""
INSERT INTO told (identity)
SELECT identity FROM (
    SELECT identity, sum(size) OVER (ORDER BY {WORTH}, changed, identity) - size AS before FROM (
        SELECT identity, type, sealed, doubted, complete, changed, size FROM records
        ORDER BY {WORTH}, changed LIMIT %(most)s
    ) AS least
) AS summed WHERE before < %(too_much)s
"""
_BEGIN_BOOTS = "CREATE TEMPORARY TABLE settling (boot_id bytea, host text) ON COMMIT DROP"
_OLD_BOOTS = """
INSERT INTO settling SELECT boot_id, host FROM boots WHERE NOT sealed AND last_ns < %(before)s LIMIT %(most)s
"""
_SURPLUS_BOOTS = """
INSERT INTO settling SELECT boot_id, host FROM boots
ORDER BY sealed, panicked_ns IS NOT NULL, last_ns > first_ns, last_ns
LIMIT least(%(most)s, greatest(0, (SELECT count(*) FROM boots) - %(boots)s))
"""
_DELETE_BOOTS = (
    "DELETE FROM boots USING settling WHERE boots.boot_id = settling.boot_id AND boots.host = settling.host"
)
#: Of hosts of which nothing else is known any more.
_LABELS = """
DELETE FROM labels WHERE host IN (SELECT host FROM former UNION SELECT host FROM settling)
AND NOT EXISTS (SELECT 1 FROM boots WHERE boots.host = labels.host)
AND NOT EXISTS (SELECT 1 FROM records WHERE records.host = labels.host)
"""


def expire(connection: psycopg2.extensions.connection, kept: Retention, most: int = BATCH) -> int:
    """Delete at most so many records and boots in a transaction; return how many it were."""
    before = kept.before_ns(time.time_ns())
    with connection, connection.cursor() as cursor:
        cursor.execute(taking.BEGIN)
        cursor.execute(taking.LOCK)
        cursor.execute(_BEGIN_BOOTS)
        boots_gone = 0
        if before is not None:
            values = {"number": numbers.since(before), "before": before, "most": most}
            cursor.execute(_OLD, values)
            records = cursor.rowcount
            cursor.execute(_OLD_BOOTS, values)
            boots_gone = cursor.rowcount
        else:
            records = 0
        if kept.size:
            if not records:
                cursor.execute(_TOO_MUCH, (kept.size,))
                row = cursor.fetchone()
                assert row is not None
                cursor.execute(_LEAST, {"too_much": row[0], "most": most})
                records = cursor.rowcount
            if not boots_gone:
                few = max(_FEW, kept.size // _BOOTS_SHARE // _BOOT_BYTES)
                cursor.execute(_SURPLUS_BOOTS, {"boots": few, "most": most})
                boots_gone = cursor.rowcount
        for step in (*taking.DELETE, _DELETE_BOOTS, boots.CURRENT, _LABELS):
            cursor.execute(step)
    return records + boots_gone
