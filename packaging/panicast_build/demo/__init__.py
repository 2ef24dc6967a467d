# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv demo: the receiver and its page on this machine, with a week of a fleet that never was."""
