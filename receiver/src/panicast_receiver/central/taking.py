# SPDX-License-Identifier: GPL-2.0-or-later
"""Takes records in that were merged: their numbers and words, and what is counted and known by them. Pure.

All of it is one transaction, by one receiver after the other. So the numbers of changes are in the
order in which others see them, no count is lost, and no two wait for each other for ever.
"""

from __future__ import annotations

from ..db.tallies import DAY_NS
from . import boots

#: Held for the time of a transaction by whoever merges: "pancount".
LOCK = "SELECT pg_advisory_xact_lock(8097875004007116660)"
#: What a batch tells of each record beside its columns; two may have one identity.
TOLD = ("identity", "sealed", "complete", "known", "understood", "received_ns", "labels", "words")
BEGIN = f"""
{boots.BEGIN};
CREATE TEMPORARY TABLE told (identity bytea, sealed boolean, complete boolean, known integer,
    understood boolean, received_ns bigint, labels jsonb, words tsvector, number bigint) ON COMMIT DROP
"""
COPY = f"COPY told ({', '.join(TOLD)}) FROM STDIN"
#: Records that an older receiver merged, with what is told of them.
OLDER = """
SELECT encode(identity, 'hex') AS identity, sealed, complete, known, meaning, id, type, host, reason, release,
    received_ns, meta, crash, right(text, 262144) AS text
FROM panicast.records WHERE words IS NULL ORDER BY identity LIMIT 64
"""
#: One that cannot be taken in: no word finds it, and it is not counted.
LEAVE = "UPDATE panicast.records SET words = '' WHERE identity = decode(%s, 'hex') AND words IS NULL"
_OURS = "identity IN (SELECT identity FROM told)"
_COUNTED = "type, host, complete, received_ns, signature, kernel, title, size"
#: Of records that were taken in, and could be.
_IN = "words <> ''"
#: What a record takes beside its text and its words, which are in the table and in the index.
_ROW_BYTES = 2048
#: Before records are merged: what is counted of them already, and where each may find a place.
FORMER = f"""
CREATE TEMPORARY TABLE former ON COMMIT DROP AS
SELECT {_COUNTED} FROM panicast.records WHERE {_IN} AND {_OURS};
UPDATE told SET number = received_ns >> 10;
"""
#: To be repeated until it changes nothing. A second value makes place among more and more numbers.
PLACE = """
UPDATE told SET number = number + 1 + floor(random() * %s)::bigint
WHERE EXISTS (SELECT 1 FROM panicast.records AS one WHERE one.number = told.number
    AND one.identity <> told.identity)
OR EXISTS (SELECT 1 FROM told AS other WHERE other.number = told.number AND other.identity < told.identity)
"""
#: Of the sighting that was merged; its first time and its number stay.
_DERIVE = f"""
UPDATE panicast.records AS one
SET words = best.words, size = {_ROW_BYTES} + pg_column_size(one.text) + coalesce(pg_column_size(one.raw), 0)
        + 2 * pg_column_size(best.words),
    kernel = left(one.release, 255), number = coalesce(one.number, best.number),
    received_ns = least(one.received_ns, best.received_ns), changed = base.value + best.place
FROM (
    SELECT *, row_number() OVER (ORDER BY number) AS place FROM (
        SELECT DISTINCT ON (identity) * FROM told
        ORDER BY identity, sealed DESC, complete DESC, known DESC, understood DESC
    ) AS each
) AS best, (
    SELECT greatest(value, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) AS value
    FROM panicast.counters WHERE name = 'changed'
) AS base
WHERE one.identity = best.identity AND (one.words IS NULL OR one.stored = now())
"""
_CHANGED = f"""
UPDATE panicast.counters
SET value = greatest(value, (SELECT max(changed) FROM panicast.records WHERE {_OURS}))
WHERE name = 'changed'
"""
#: How often each thing is more there than before.
_MORE = f"""
CREATE TEMPORARY TABLE more ON COMMIT DROP AS
SELECT {_COUNTED}, 1 AS n FROM panicast.records WHERE {_IN} AND {_OURS}
UNION ALL SELECT {_COUNTED}, -1 FROM former
"""
_COUNT_TYPES = """
INSERT INTO panicast.type_tallies AS one (type, records, incomplete, last_ns, size)
SELECT type, sum(n), coalesce(sum(n) FILTER (WHERE NOT complete), 0), max(received_ns), sum(n * size)
FROM more GROUP BY type
ON CONFLICT (type) DO UPDATE SET records = one.records + excluded.records, size = one.size + excluded.size,
    incomplete = one.incomplete + excluded.incomplete, last_ns = greatest(one.last_ns, excluded.last_ns)
"""
_COUNT_GROUPS = """
WITH counted AS (
    INSERT INTO panicast.group_hosts AS one
    SELECT signature, host, sum(n) FROM more WHERE signature <> '' GROUP BY 1, 2 HAVING sum(n) <> 0
    ON CONFLICT (signature, host) DO UPDATE SET records = one.records + excluded.records
    RETURNING signature, CASE WHEN xmax = 0 THEN 1 WHEN records <= 0 THEN -1 ELSE 0 END AS hosts
)
INSERT INTO panicast.groups AS one
SELECT signature, sum(n),
    coalesce((SELECT sum(hosts) FROM counted WHERE counted.signature = more.signature), 0),
    min(received_ns), max(received_ns)
FROM more WHERE signature <> '' GROUP BY signature HAVING sum(n) <> 0
ON CONFLICT (signature) DO UPDATE SET records = one.records + excluded.records,
    hosts = one.hosts + excluded.hosts, first_ns = least(one.first_ns, excluded.first_ns),
    last_ns = greatest(one.last_ns, excluded.last_ns)
"""
#: Other counts, by table: the key, in columns of a record.
_KEYS = {
    "group_names": {"signature": "signature", "kernel": "kernel", "title": "title"},
    "group_days": {"signature": "signature", "day": f"received_ns / {DAY_NS}"},
}
_COUNTS = [
    f"INSERT INTO panicast.{table} AS one ({', '.join(key)}, records) "
    f"SELECT {', '.join(key.values())}, sum(n) FROM more WHERE signature <> '' "
    f"GROUP BY {', '.join(key.values())} HAVING sum(n) <> 0 "
    f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET records = one.records + excluded.records"
    for table, key in _KEYS.items()
]
#: A record that was named anew has left its group.
_EMPTIED = [
    f"DELETE FROM panicast.{table} AS one USING former "
    "WHERE one.signature = former.signature AND one.records <= 0"
    for table in ("groups", "group_hosts", *_KEYS)
]
#: Of groups that are resolved: what has come back (db/groups.py).
RESOLVED = f"""
SELECT identity, signature, doubted, received_ns, host, kernel, title FROM records
WHERE stored = now() AND {_OURS}
AND signature IN (SELECT signature FROM group_states WHERE state = 'resolved')
ORDER BY number
"""
#: After records are merged, in this order.
TAKE_IN = (
    _DERIVE,
    _CHANGED,
    _MORE,
    _COUNT_TYPES,
    _COUNT_GROUPS,
    *_COUNTS,
    *_EMPTIED,
    *boots.BY_RECORDS,
)

#: A group's first and last time, after records have left it.
_SETTLE = """
UPDATE groups AS one SET
    first_ns = coalesce((SELECT received_ns FROM records WHERE signature = one.signature
        ORDER BY number ASC LIMIT 1), first_ns),
    last_ns = coalesce((SELECT received_ns FROM records WHERE signature = one.signature
        ORDER BY number DESC LIMIT 1), last_ns)
WHERE signature IN (SELECT signature FROM former)
"""
#: Deletes the records whose identities were told, in this order.
DELETE = (
    FORMER,
    f"DELETE FROM records WHERE {_OURS}",
    _MORE,
    _COUNT_TYPES,
    _COUNT_GROUPS,
    *_COUNTS,
    *_EMPTIED,
    _SETTLE,
)
