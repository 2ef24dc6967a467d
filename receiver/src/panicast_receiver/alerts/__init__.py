# SPDX-License-Identifier: GPL-2.0-or-later
"""Alerts people about groups of crashes, not about records: new crashes, regressions, ten times as
many records, silent hosts.

A sink decides which alerts there are and writes them down (decide.py). A thread for each target
sends them (courier.py), in the target's format (formats.py), as a file of rules says (rules.py).
"""
