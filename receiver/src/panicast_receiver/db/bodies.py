# SPDX-License-Identifier: GPL-2.0-or-later
"""The texts of records, in a table of their own: who lists, counts or names records reads none of them."""

from __future__ import annotations

#: By the record's number. body: zstd of the text's bytes that arrived, in order.
SCHEMA = """
CREATE TABLE bodies (number INTEGER PRIMARY KEY NOT NULL, body BLOB NOT NULL);
"""
#: From schema 2, where they were in the records.
CARRY_ON = f"""
{SCHEMA}
INSERT INTO bodies SELECT number, body FROM carried WHERE type NOT IN ('hello', 'bye') ORDER BY number;
"""
#: What is selected of records to get all of them, text included.
WHOLE = "records.*, (SELECT body FROM bodies WHERE bodies.number = records.number) AS body"
PUT = "INSERT OR REPLACE INTO bodies VALUES (?, ?)"
DELETE = "DELETE FROM bodies WHERE number = ?"
