# SPDX-License-Identifier: GPL-2.0-or-later
"""The command panicast-receiver: its arguments, and what each command does and prints."""
