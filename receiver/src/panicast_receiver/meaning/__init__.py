# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds out what a crash was: what happened, in which function, and which crashes are the same.
Pure.

It takes text and returns values. Nothing here knows where a record came from or where it is kept.
Knowledge of kernels is data: ``formats_*.py`` say how reports begin and what they are called,
``innocent.py`` lists the functions that are never guilty.
"""

from __future__ import annotations

from .formats import SEVERITIES
from .lines import split_stamp
from .model import NOT_UNDERSTOOD, VERSION, Meaning, not_understood
from .understand import beginning, kind_of, understand

__all__ = [
    "NOT_UNDERSTOOD",
    "SEVERITIES",
    "VERSION",
    "Meaning",
    "beginning",
    "kind_of",
    "not_understood",
    "split_stamp",
    "understand",
]
