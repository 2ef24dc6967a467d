# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds file and line of places in the kernel's code, by debug information and elfutils.

``files.py`` finds the file that has a kernel's or module's debug information, ``lines.py`` asks elfutils
about it, ``limited.py`` runs its programs so that no file and no server harms anything else.
"""
