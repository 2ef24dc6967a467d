# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells people of groups of crashes, not of records: what is new, back, ten times as much, or silent.

A sink decides what there is to tell (decide.py) and writes it down; a thread for each target tells it
(courier.py), in its format (formats.py), as the rules in a file say (rules.py).
"""
