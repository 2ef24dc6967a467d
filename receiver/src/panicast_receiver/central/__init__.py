# SPDX-License-Identifier: GPL-2.0-or-later
"""The central store as the page reads it: what PostgreSQL has beside the records that sinks/central.py
puts there, how that is kept, and the questions of db/reader.py on it.

It needs psycopg2: nothing outside imports it unless ``postgresql`` is set.
"""
