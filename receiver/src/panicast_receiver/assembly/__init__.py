# SPDX-License-Identifier: GPL-2.0-or-later
"""Puts frames together to records: in any order, repeated, with gaps, within limits of memory and
rate.

Pure: frames and a clock reading in, records out. Only the spill file is on the disk.
"""
