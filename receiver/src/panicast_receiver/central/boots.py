# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps in the central store what is known of each boot of each host, as db/boots.py does: by records, and by
what receivers tell of hello and bye. Pure.

A receiver tells all that it knows of a boot. So what several tell of one boot is brought together in
any order and any number of times, and they agree. Each row is changed; none is added for a hello.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..db.boots import LATE, MOST_INTERFACES
from ..text import nanoseconds, shorten
from ..wire.v1 import KEPT_EVENT
from .copying import line_of

#: Bytes of what a host says of itself.
_BOUNDS = {"host": 255, **dict.fromkeys(("why", "kernel", "module", "ip"), 256)}
_COLUMNS = (
    *("boot_id", "host", "sealed", "state", "why", "said", "event", "first_ns", "last_ns", "panicked_ns"),
    *("kernel", "module", "interfaces", "source_ip"),
)
_NAMES = ", ".join(_COLUMNS)
#: What is heard in this transaction.
BEGIN = f"""
SET LOCAL search_path = panicast;
CREATE TEMPORARY TABLE heard ON COMMIT DROP AS
SELECT {_NAMES}, '{{}}'::jsonb AS labels FROM panicast.boots WHERE false
"""
COPY = f"COPY heard ({_NAMES}, labels) FROM STDIN"
_OURS = "identity IN (SELECT identity FROM told)"
_UUID = "encode({}.boot_id, 'hex')::uuid"
#: Records tell of a boot what hello and bye tell; not what was kept of it: the host lives in another by now.
_OF_RECORDS = f"""
INSERT INTO heard ({_NAMES})
SELECT decode(replace(boot_id::text, '-', ''), 'hex'), host, bool_or(sealed), 'unknown', '', -1,
    coalesce(max(event), 0), min(received_ns), max(received_ns), NULL, max(kernel),
    left(coalesce(max(meta->>'module'), ''), 64),
    coalesce(jsonb_object_agg(left(meta->>'iface', 64), lower(left(coalesce(meta->>'mac', ''), 64)))
        FILTER (WHERE meta->>'iface' <> ''), '{{}}')::text,
    max(source->>'ip')
FROM records
WHERE {_OURS} AND boot_id IS NOT NULL AND NOT doubted AND (sealed OR type = 'panic')
AND coalesce(event, 0) < {KEPT_EVENT}
GROUP BY boot_id, host
"""
#: Unsealed words of a host that has sealed change nothing, whenever they came.
_DISBELIEVE = """
DELETE FROM heard WHERE NOT sealed AND (
    host IN (SELECT host FROM heard WHERE sealed)
    OR EXISTS (SELECT 1 FROM boots WHERE boots.host = heard.host AND boots.sealed)
    OR EXISTS (SELECT 1 FROM records WHERE records.host = heard.host AND records.sealed)
);
DELETE FROM boots WHERE NOT sealed AND host IN (SELECT host FROM heard WHERE sealed)
"""
#: Of a boot that is first heard to seal, as merging.BELIEVE does by records.
_DOUBT = f"""
UPDATE records AS one SET doubted = true, contested = false
FROM heard
WHERE heard.sealed AND one.host = heard.host AND NOT one.sealed AND NOT one.doubted
AND (one.received_ns >= heard.first_ns OR one.boot_id = {_UUID.format("heard")})
AND NOT EXISTS (
    SELECT 1 FROM boots WHERE boots.boot_id = heard.boot_id AND boots.host = heard.host AND boots.sealed
)
"""
#: Hosts of which other boots may be current now: a host may have very many boots.
_SETTLING = """
CREATE TEMPORARY TABLE settling ON COMMIT DROP AS
SELECT DISTINCT host FROM heard WHERE NOT EXISTS (
    SELECT 1 FROM boots WHERE boots.boot_id = heard.boot_id AND boots.host = heard.host AND boots.current
)
"""
#: The hello or bye that was said last. Nobody may mute a host by one with a number that he made up.
_SAID_LATER = (
    "(excluded.said > one.said OR (NOT one.sealed AND excluded.said >= 0 "
    f"AND one.said - excluded.said >= {LATE} AND excluded.last_ns > one.last_ns))"
)
_BY_SAID = ", ".join(
    f"{name} = CASE WHEN {_SAID_LATER} THEN excluded.{name} ELSE one.{name} END"
    for name in ("state", "why", "said")
)
_MERGE = f"""
INSERT INTO boots AS one ({_NAMES})
SELECT boot_id, host, sealed, state, why, said, event, began, ended, panicked, kernel, module, interfaces,
    source_ip
FROM (
    SELECT *, row_number() OVER (PARTITION BY boot_id, host ORDER BY said DESC, last_ns DESC) AS place,
        min(first_ns) OVER each AS began, max(last_ns) OVER each AS ended,
        min(panicked_ns) OVER each AS panicked
    FROM heard WINDOW each AS (PARTITION BY boot_id, host)
) AS each
WHERE place = 1
ON CONFLICT (boot_id, host) DO UPDATE SET {_BY_SAID},
    event = CASE WHEN NOT one.sealed AND one.event - excluded.event >= {LATE}
        AND excluded.last_ns > one.last_ns THEN excluded.event ELSE greatest(one.event, excluded.event) END,
    first_ns = least(one.first_ns, excluded.first_ns), last_ns = greatest(one.last_ns, excluded.last_ns),
    panicked_ns = least(one.panicked_ns, excluded.panicked_ns),
    kernel = coalesce(nullif(excluded.kernel, ''), one.kernel),
    module = coalesce(nullif(excluded.module, ''), one.module),
    source_ip = coalesce(excluded.source_ip, one.source_ip),
    interfaces = CASE WHEN (
        SELECT count(*) FROM jsonb_object_keys(one.interfaces::jsonb || excluded.interfaces::jsonb)
    ) > {MOST_INTERFACES} THEN one.interfaces
    ELSE (one.interfaces::jsonb || excluded.interfaces::jsonb)::text END
WHERE excluded.last_ns > one.last_ns OR excluded.first_ns < one.first_ns OR {_SAID_LATER}
    OR least(one.panicked_ns, excluded.panicked_ns) IS DISTINCT FROM one.panicked_ns
"""
#: The time of a panic is that of its record, by which it is known whose group it is.
_PANICKED = """
UPDATE boots AS one SET panicked_ns = panics.ns FROM (
    SELECT decode(replace(boot_id::text, '-', ''), 'hex') AS boot_id, host, min(received_ns) AS ns
    FROM records WHERE type = 'panic' AND NOT doubted AND received_ns IS NOT NULL
    AND (boot_id, host) IN ({keys})
    GROUP BY 1, 2
) AS panics
WHERE one.boot_id = panics.boot_id AND one.host = panics.host AND one.panicked_ns IS DISTINCT FROM panics.ns
"""
#: Only what changes is written.
CURRENT = """
UPDATE boots AS one SET current = NOT current FROM (
    SELECT host, max(first_ns) AS began FROM boots WHERE host IN (SELECT host FROM settling) GROUP BY host
) AS newest
WHERE one.host = newest.host AND one.current <> (one.last_ns >= newest.began)
"""
#: The labels that a receiver told last are a host's. Older ones tell of none.
_LABELS = """
WITH newest AS (
    SELECT DISTINCT ON (host) host, its FROM ({source}) AS each WHERE its IS NOT NULL ORDER BY host, at DESC
), gone AS (
    DELETE FROM labels USING newest WHERE labels.host = newest.host AND newest.its->>labels.name IS NULL
)
INSERT INTO labels AS one SELECT host, key, value FROM newest, jsonb_each_text(its)
ON CONFLICT (host, name) DO UPDATE SET value = excluded.value WHERE one.value <> excluded.value
"""
_OUR_PANICS = f"SELECT boot_id, host FROM records WHERE {_OURS} AND type = 'panic'"
_HEARD = (_DISBELIEVE, _DOUBT, _SETTLING, _MERGE)
#: After records were merged, in this order.
BY_RECORDS = (
    _OF_RECORDS,
    *_HEARD,
    _PANICKED.format(keys=_OUR_PANICS),
    CURRENT,
    _LABELS.format(
        source="SELECT host, told.labels AS its, told.received_ns AS at "
        "FROM told JOIN records USING (identity)"
    ),
)
#: After a receiver has told of hosts. A receiver that knows no labels takes none away.
BY_RECEIVERS = (
    *_HEARD,
    _PANICKED.format(keys=f"SELECT {_UUID.format('heard')}, host FROM heard"),
    CURRENT,
    _LABELS.format(source="SELECT host, labels AS its, last_ns AS at FROM heard WHERE labels <> '{}'"),
)


def line(told: Mapping[str, Any]) -> str:
    """Return what a receiver tells of a boot (db/fleet.py) as a line for COPY."""
    row = {
        **told,
        **{name: shorten(told[name], most) for name, most in _BOUNDS.items() if told[name] is not None},
        "boot_id": "\\x" + told["boot_id"],
        "first_ns": nanoseconds(told["first_seen"]),
        "last_ns": nanoseconds(told["last_seen"]),
        "panicked_ns": None if told["panicked"] is None else nanoseconds(told["panicked"]),
    }
    row["source_ip"] = row["ip"]
    return line_of(row[name] for name in (*_COLUMNS, "labels"))
