# SPDX-License-Identifier: GPL-2.0-or-later
"""The labels of hosts: the rules that give them, and what each host that was heard has by them.

A host gets its labels when it is heard first, and all get them again when the rules change. So who
looks for a label reads an index. A host that is forgotten leaves none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Callable, NamedTuple

from ..records.labels import Rule
from .writing import transaction

#: label_rules: in their order; pattern is SQLite's own if it ``is_pattern``, else a host's name.
SCHEMA = """
CREATE TABLE label_rules (
    place INTEGER PRIMARY KEY NOT NULL,
    pattern TEXT NOT NULL,
    is_pattern INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX label_rules_of_host ON label_rules (pattern) WHERE NOT is_pattern;
CREATE INDEX label_rules_of_many ON label_rules (place) WHERE is_pattern;
CREATE TABLE labels (
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (host, name)
) WITHOUT ROWID;
CREATE INDEX labels_by_value ON labels (name, value);
"""
#: The labels of a host as JSON, in SQL, where there is a column ``host``.
OF = "(SELECT json_group_object(name, value) FROM labels WHERE labels.host = {}.host)"
#: What is told of labels in numbers: values of a name, and rows in all.
MOST_VALUES, MOST_COUNTS = 50, 1000
#: Of so many hosts each record is looked for by itself; of more, one is soon found among all records.
_FEW = 100
#: Hosts that get their labels in one transaction.
_BATCH = 200
_SETTLED = "INSERT OR REPLACE INTO counters VALUES ('labelled', ?)"
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
Ask = Callable[[str, list[Any]], Iterator[sqlite3.Row]]


class Term(NamedTuple):
    """What is looked for: hosts with a label whose value a pattern fits, or without."""

    name: str
    pattern: str
    absent: bool = False


def glob(pattern: str) -> str:
    """Return a pattern with * and ? as SQLite's GLOB takes it, for what its lower() has returned."""
    return folded(pattern).replace("[", "[[]")


def folded(text: str) -> str:
    """Return a text as SQLite's lower() does."""
    return text.translate(_LOWER)


def having(terms: Sequence[Term], host: str = "host") -> tuple[list[str], list[Any]]:
    """Return conditions of SQL for a column with a host's name, and their values."""
    sql = "{} {}IN (SELECT labels.host FROM labels WHERE name = ? AND glob(?, lower(value)))"
    parts = [sql.format(host, "NOT " * term.absent) for term in terms]
    return parts, [value for term in terms for value in (term.name, glob(term.pattern))]


def are_few(ask: Ask, terms: Sequence[Term]) -> bool:
    """Tell whether few hosts have one of these labels."""
    sql = (
        "SELECT count(*) FROM (SELECT 1 FROM labels WHERE name = ? AND glob(?, lower(value)) LIMIT ?) AS few"
    )
    wanted = [[term.name, glob(term.pattern), _FEW + 1] for term in terms if not term.absent]
    return any(next(ask(sql, values))[0] <= _FEW for values in wanted)


def give(db: sqlite3.Connection, host: str) -> None:
    """Give a host that is heard its labels, within the caller's transaction; those that it has are the
    same."""
    name = folded(host)
    found = db.execute(
        "SELECT place, name, value FROM label_rules WHERE pattern = ?1 AND NOT is_pattern "
        "UNION ALL SELECT place, name, value FROM label_rules WHERE is_pattern AND ?1 GLOB pattern "
        "ORDER BY place",
        (name,),
    )
    labels = {row[1]: row[2] for row in found}
    for label in labels.items():
        if label[1]:
            db.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?)", (host, *label))


def leave(db: sqlite3.Connection, host: str) -> None:
    """Forget the labels of a host of which nothing else is known any more."""
    db.execute(
        "DELETE FROM labels WHERE host = ?1 AND NOT EXISTS (SELECT 1 FROM boots WHERE host = ?1) "
        "AND NOT EXISTS (SELECT 1 FROM host_tallies WHERE host = ?1)",
        (host,),
    )


def put(db: sqlite3.Connection, rules: Sequence[Rule]) -> bool:
    """Let these rules be those in force, and give all hosts their labels; tell whether anything has
    changed. What is cut off goes on with the next call."""
    new = [
        (place, glob(rule.pattern) if rule.is_pattern else folded(rule.pattern), rule.is_pattern, *rule[1:])
        for place, rule in enumerate(rules)
    ]
    settled = db.execute("SELECT value FROM counters WHERE name = 'labelled'").fetchone()
    same = [tuple(row) for row in db.execute("SELECT * FROM label_rules ORDER BY place")] == new
    if same and (not new or (settled and settled[0])):
        return False
    with transaction(db):
        db.execute(_SETTLED, (0,))
        db.execute("DELETE FROM label_rules")
        db.executemany("INSERT INTO label_rules VALUES (?, ?, ?, ?, ?)", new)
    known = db.execute(
        "SELECT host FROM boots UNION SELECT host FROM host_tallies UNION SELECT host FROM labels"
    )
    hosts = iter([row[0] for row in known])
    while batch := list(islice(hosts, _BATCH)):
        with transaction(db):
            for host in batch:
                db.execute("DELETE FROM labels WHERE host = ?", (host,))
                give(db, host)
                leave(db, host)
    with transaction(db):
        db.execute(_SETTLED, (1,))
    return True


def names(ask: Ask) -> list[str]:
    """Return the names of labels that hosts have, and that do not tell each host apart."""
    few = "SELECT name FROM labels GROUP BY name HAVING count(DISTINCT value) <= ? ORDER BY name"
    return [row[0] for row in ask(few, [MOST_VALUES])]


def counts(ask: Ask, shown: str, values: list[Any]) -> dict[tuple[str, str, str], int]:
    """Return how many hosts there are by name and value of a label, and state; ``shown`` is the state in
    SQL, ``values`` are its values. A name with many values is left out."""
    known = names(ask)
    if not known:
        return {}
    sql = (
        f"SELECT name, value, {shown} AS shown, count(*) AS hosts FROM boots JOIN labels USING (host) "
        f"WHERE current AND name IN ({', '.join('?' * len(known))}) "
        "GROUP BY name, value, shown ORDER BY name, value LIMIT ?"
    )
    found = ask(sql, [*values, *known, MOST_COUNTS])
    return {(row["name"], row["value"], row["shown"]): row["hosts"] for row in found}
