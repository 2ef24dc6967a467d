# SPDX-License-Identifier: GPL-2.0-or-later
"""The central store: its tables in PostgreSQL, the SQL that fills them, and what the page reads there.

Receivers write to it by the sink in sinks/postgresql.py.

It needs psycopg2: nothing outside imports it unless ``postgresql`` is set.
"""
