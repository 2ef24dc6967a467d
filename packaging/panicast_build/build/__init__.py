# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages: the tree's sources in, .deb and .rpm with their evidence in dist/ out."""
