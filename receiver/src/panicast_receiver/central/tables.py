# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of the central store beside its records, with the names that SQLite's have, so that the
questions of db/reader.py are the same; and the few functions of SQLite that PostgreSQL has not. Pure.

Whoever merges records keeps them (taking.py).
"""

from __future__ import annotations

from ..db.retention import ORDER
from ..wire.v1 import KEPT_EVENT

#: What is deleted first, as in db/retention.py.
WORTH = ORDER.format(sealed="sealed", complete="complete::integer")
#: number, received_ns, changed, kernel, turn, size: as in db/schema.py, of records that are there already,
#: too, so that they are shown; words: NULL until somebody has made them.
#: said: the event of the hello or bye that a boot's state is from; -1: there was none.
#: In collation "C" names are in the order that SQLite has.
SCHEMA = f"""
SET LOCAL statement_timeout = 0;
ALTER TABLE panicast.records
    ADD COLUMN IF NOT EXISTS meaning text NOT NULL DEFAULT 'found',
    ADD COLUMN IF NOT EXISTS meaning_failure text,
    ADD COLUMN number bigint,
    ADD COLUMN received_ns bigint,
    ADD COLUMN changed bigint,
    ADD COLUMN turn integer NOT NULL DEFAULT 0,
    ADD COLUMN size bigint NOT NULL DEFAULT 0,
    ADD COLUMN kernel text COLLATE "C",
    ADD COLUMN words tsvector,
    ALTER COLUMN id TYPE text COLLATE "C",
    ALTER COLUMN host TYPE text COLLATE "C",
    ALTER COLUMN signature TYPE text COLLATE "C",
    ALTER COLUMN title TYPE text COLLATE "C";
UPDATE panicast.records AS one
SET number = each.number, received_ns = each.ns, changed = 0,
    kernel = left(release, 255), type = left(type, 16),
    time = CASE WHEN time BETWEEN '1970-01-01' AND '9999-01-01' THEN time END
FROM (
    SELECT identity, ns, max((ns >> 10) - place) OVER (ORDER BY place) + place AS number FROM (
        SELECT identity, ns, row_number() OVER (ORDER BY ns, identity) AS place FROM (
            SELECT identity, CASE WHEN received BETWEEN '1970-01-01' AND '2262-01-01'
                THEN (extract(epoch FROM received) * 1000000)::bigint * 1000 ELSE 0 END AS ns
            FROM panicast.records
        ) AS heard
    ) AS placed
) AS each
WHERE one.identity = each.identity;
DROP INDEX panicast.records_by_id;
DROP INDEX panicast.records_by_host;
DROP INDEX panicast.records_by_signature;
CREATE INDEX records_by_id ON panicast.records (id);
CREATE UNIQUE INDEX records_by_number ON panicast.records (number);
CREATE INDEX records_by_change ON panicast.records (changed);
CREATE INDEX records_by_host ON panicast.records (host, number);
CREATE INDEX records_by_signature ON panicast.records (signature, number);
CREATE INDEX records_sealed ON panicast.records (host, received) WHERE sealed;
CREATE INDEX records_by_type ON panicast.records (type, number);
CREATE INDEX records_by_worth ON panicast.records ({WORTH}, changed);
CREATE INDEX records_by_words ON panicast.records USING gin (words);
CREATE INDEX records_to_take_in ON panicast.records (identity) WHERE words IS NULL;
CREATE INDEX panics_by_boot ON panicast.records (boot_id, host, identity)
    WHERE type = 'panic' AND NOT doubted;
CREATE INDEX panics_kept ON panicast.records (boot_id, host, signature, received_ns)
    WHERE type = 'panic' AND NOT doubted AND event >= {KEPT_EVENT};
CREATE TABLE panicast.counters (name text PRIMARY KEY, value bigint NOT NULL);
INSERT INTO panicast.counters VALUES ('changed', 0);
CREATE TABLE panicast.type_tallies (
    type text PRIMARY KEY, records bigint NOT NULL, incomplete bigint NOT NULL, last_ns bigint NOT NULL,
    size bigint NOT NULL
);
CREATE TABLE panicast.groups (
    signature text COLLATE "C" PRIMARY KEY, records bigint NOT NULL, hosts bigint NOT NULL,
    first_ns bigint NOT NULL, last_ns bigint NOT NULL
);
CREATE INDEX groups_by_time ON panicast.groups (last_ns);
CREATE TABLE panicast.group_hosts (
    signature text COLLATE "C" NOT NULL, host text COLLATE "C" NOT NULL, records bigint NOT NULL,
    PRIMARY KEY (signature, host)
);
CREATE TABLE panicast.group_names (
    signature text COLLATE "C" NOT NULL, kernel text COLLATE "C" NOT NULL, title text COLLATE "C" NOT NULL,
    records bigint NOT NULL, PRIMARY KEY (signature, kernel, title)
);
CREATE TABLE panicast.group_days (
    signature text COLLATE "C" NOT NULL, day bigint NOT NULL, records bigint NOT NULL,
    PRIMARY KEY (signature, day)
);
CREATE TABLE panicast.group_states (
    signature text COLLATE "C" PRIMARY KEY, state text NOT NULL, by text NOT NULL, since_ns bigint NOT NULL,
    moment_ns bigint, kernels text NOT NULL
);
CREATE TABLE panicast.group_changes (
    number bigserial PRIMARY KEY, signature text COLLATE "C" NOT NULL, at_ns bigint NOT NULL,
    by text NOT NULL, via text NOT NULL, action text NOT NULL, detail text NOT NULL, note text NOT NULL,
    identity bytea
);
CREATE INDEX changes_by_group ON panicast.group_changes (signature, number);
CREATE INDEX regressions ON panicast.group_changes (identity) WHERE identity IS NOT NULL;
CREATE TABLE panicast.boots (
    boot_id bytea NOT NULL, host text COLLATE "C" NOT NULL, sealed boolean NOT NULL, state text NOT NULL,
    event bigint NOT NULL, first_ns bigint NOT NULL, last_ns bigint NOT NULL, panicked_ns bigint,
    kernel text COLLATE "C" NOT NULL, module text COLLATE "C" NOT NULL, interfaces text NOT NULL,
    source_ip text COLLATE "C", current boolean NOT NULL DEFAULT true, retired_ns bigint,
    why text COLLATE "C" NOT NULL DEFAULT '', said bigint NOT NULL DEFAULT -1,
    PRIMARY KEY (boot_id, host)
);
CREATE INDEX boots_now ON panicast.boots (host) WHERE current;
CREATE INDEX boots_by_host ON panicast.boots (host);
CREATE TABLE panicast.labels (
    host text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL, value text COLLATE "C" NOT NULL,
    PRIMARY KEY (host, name)
);
CREATE INDEX labels_by_value ON panicast.labels (name, value);
CREATE TABLE panicast.windows (
    number bigint PRIMARY KEY, hosts text NOT NULL, from_ns bigint NOT NULL, until_ns bigint NOT NULL,
    at_ns bigint NOT NULL, by text NOT NULL, via text NOT NULL, note text NOT NULL, ended_ns bigint,
    ended_by text NOT NULL DEFAULT '', ended_via text NOT NULL DEFAULT '', ended_note text NOT NULL DEFAULT ''
);
CREATE TABLE panicast.window_terms (
    number bigint NOT NULL, name text COLLATE "C" NOT NULL, pattern text COLLATE "C" NOT NULL,
    PRIMARY KEY (number, name, pattern)
);
CREATE TABLE panicast.places (
    kernel text NOT NULL, code text NOT NULL, lines text, PRIMARY KEY (kernel, code)
);
CREATE TABLE panicast.cursors (sink text PRIMARY KEY, changed bigint NOT NULL);

CREATE FUNCTION panicast.glob(pattern text, value text) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$
    SELECT value LIKE replace(replace(replace(replace(replace(replace(
        pattern, '\\', '\\\\'), '%', '\\%'), '_', '\\_'), '*', '%'), '?', '_'), '[[]', '[')
$$;
CREATE FUNCTION panicast.min(bigint, bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS 'SELECT least($1, $2)';
CREATE FUNCTION panicast.max(bigint, bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS 'SELECT greatest($1, $2)';
CREATE FUNCTION panicast.strftime(text, text) RETURNS bigint STABLE LANGUAGE sql
    AS 'SELECT extract(epoch FROM statement_timestamp())::bigint';
CREATE FUNCTION panicast.with_pair(jsonb, text, text) RETURNS jsonb IMMUTABLE LANGUAGE sql
    AS 'SELECT $1 || jsonb_build_object($2, $3)';
CREATE FUNCTION panicast.with_item(jsonb, text) RETURNS jsonb IMMUTABLE LANGUAGE sql
    AS 'SELECT $1 || jsonb_build_array($2)';
CREATE FUNCTION panicast.with_word(text, text) RETURNS text IMMUTABLE LANGUAGE sql
    AS 'SELECT CASE WHEN $2 IS NULL THEN $1 ELSE coalesce($1 || '','', '''') || $2 END';
CREATE FUNCTION panicast.as_text(jsonb) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1::text';
CREATE AGGREGATE panicast.json_group_object(text, text) (
    sfunc = panicast.with_pair, stype = jsonb, initcond = '{{}}', finalfunc = panicast.as_text
);
CREATE AGGREGATE panicast.json_group_array(text) (
    sfunc = panicast.with_item, stype = jsonb, initcond = '[]', finalfunc = panicast.as_text
);
CREATE AGGREGATE panicast.group_concat(text) (sfunc = panicast.with_word, stype = text);
"""
