# SPDX-License-Identifier: GPL-2.0-or-later
"""The running service: its threads, the queue between them, its counters, its start and its end.

It connects the other rooms; only the command line stands above it.
"""
