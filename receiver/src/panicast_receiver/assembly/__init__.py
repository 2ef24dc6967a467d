# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames put together to records: in any order, twice, with gaps, within bounds of memory and rate.

Pure: frames and a clock reading in, records out. The spill file is the one thing on disk.
"""
