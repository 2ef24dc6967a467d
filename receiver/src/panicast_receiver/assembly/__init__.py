# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts frames together into records: in any order, repeated, with gaps, within limits of memory and
rate.

Pure: it takes frames and the time, and returns records. Only the spill file is on the disk.
"""
