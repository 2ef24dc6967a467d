# SPDX-License-Identifier: GPL-2.0-or-later
"""Decides which records tell of one crash: what the dying kernel sent, and what firmware or kdump kept
and the next boot sent. A boot panics once, so they have boot id and host in common.

The one with the lowest event stands for the crash in lists and counts; the others are its copies.
"""

from __future__ import annotations

from ..wire.v1 import KEPT_EVENT
from . import keys

#: Of more records the rest is not named.
_MOST = 8
SCHEMA = f"""
CREATE INDEX panics_by_boot ON records ({keys.PART}, boot_id, host, identity)
    WHERE type = 'panic' AND NOT doubted;
CREATE INDEX panics_kept ON records (boot_id, host, signature, received_ns)
    WHERE type = 'panic' AND NOT doubted AND event >= {KEPT_EVENT};
"""
#: Whether something of a record's crash was kept: of most boots nothing was, and that is asked of each record
#: that is listed.
_ANY_KEPT = f"""EXISTS (
    SELECT 1 FROM records AS kept INDEXED BY panics_kept WHERE kept.type = 'panic' AND NOT kept.doubted
    AND kept.event >= {KEPT_EVENT} AND kept.boot_id = records.boot_id AND kept.host = records.host
)"""
_IN_PART = f"""
    SELECT other.id FROM records AS other
    WHERE (other.signature IS NULL) = {{}} AND other.type = 'panic'
    AND other.boot_id = records.boot_id AND other.host = records.host
    AND (other.event >= {KEPT_EVENT} OR records.event >= {KEPT_EVENT})
    AND other.identity != records.identity AND NOT other.doubted
    AND records.type = 'panic' AND NOT records.doubted
    ORDER BY other.identity LIMIT {_MOST}"""
#: The ids of the other records of a record's crash, as a JSON array.
OTHERS = f"""CASE WHEN {_ANY_KEPT} THEN (SELECT json_group_array(id) FROM (
    SELECT id FROM ({_IN_PART.format("FALSE")}) AS one
    UNION ALL SELECT id FROM ({_IN_PART.format("TRUE")}) AS other
    LIMIT {_MOST}
) AS others) ELSE '[]' END"""
#: Whether a record is a copy of another one. By an index for each record that was kept: there may be as many
#: as there are crashes.
COPY = f"""(records.type = 'panic' AND records.event >= {KEPT_EVENT} AND NOT records.doubted AND EXISTS (
    SELECT 1 FROM records AS first WHERE (first.signature IS NULL) IN (FALSE, TRUE) AND first.type = 'panic'
    AND first.boot_id = records.boot_id AND first.host = records.host
    AND first.identity < records.identity AND NOT first.doubted
))"""
FIRST = f"NOT {COPY}"
