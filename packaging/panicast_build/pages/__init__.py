# SPDX-License-Identifier: GPL-2.0-or-later
"""What tasks write for people and CI systems from data: tables, pages of docs/, workflows."""
