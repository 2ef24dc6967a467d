# SPDX-License-Identifier: GPL-2.0-or-later
"""The database: its schema, what writes it, what reads it, and what is known of each boot.

Nothing here knows its callers.
"""
