# SPDX-License-Identifier: GPL-2.0-or-later
"""The running service: its threads, the queue between them, its counts, its start and its end.

It wires the other rooms together; only the command line stands above it.
"""
