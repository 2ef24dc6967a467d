# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user is told in one sentence instead of a traceback."""

from __future__ import annotations


class ReceiverError(Exception):
    """Something failed or was not found; the text says what, where and what to do."""

    exit_code = 1


class NotFoundError(ReceiverError):
    """What was asked for is not there; the database is."""


class UsageError(ReceiverError):
    """A flag, a setting or the configuration file is wrong."""

    exit_code = 2
