# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that the user sees as one sentence instead of a traceback."""

from __future__ import annotations


class ReceiverError(Exception):
    """Something failed or was not found; the text says what, where and what to do."""

    exit_code = 1


class FullError(ReceiverError):
    """The disk has no room. It may have some later."""


class AwayError(ReceiverError):
    """A server does not answer. It may later."""


class NotFoundError(ReceiverError):
    """The database exists, but not what was asked for."""


class UsageError(ReceiverError):
    """A flag, a setting or the configuration file is wrong."""

    exit_code = 2
