# SPDX-License-Identifier: GPL-2.0-or-later
"""The database: its tables, the code that writes and reads them, and what is known of each boot of
a host.

Nothing here knows its callers.
"""
