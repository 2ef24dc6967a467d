# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the tables of alerts: what has been reported, what still has to be sent, and how far each
target is."""

#: told: what is known of a thing that is told of, so that it is told once. alerts: each is told to every
#: target that wants it; target_alerts: the last one that a target has dealt with, and its last digest.
SCHEMA = """
CREATE TABLE told (
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    value INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    PRIMARY KEY (kind, about)
) WITHOUT ROWID;
CREATE TABLE alerts (number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, document TEXT NOT NULL);
CREATE TABLE target_alerts (
    target TEXT PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    digest_ns INTEGER NOT NULL
) WITHOUT ROWID;
"""
