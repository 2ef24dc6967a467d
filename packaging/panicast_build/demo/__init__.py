# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv demo: runs the receiver and its page on this machine, with a week of a made-up fleet."""
