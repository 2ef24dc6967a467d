# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes tables, pages of docs/ and workflows from data, for people and CI systems."""
