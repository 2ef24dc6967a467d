# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds .deb and .rpm packages from the tree's sources into dist/, with evidence of how."""
