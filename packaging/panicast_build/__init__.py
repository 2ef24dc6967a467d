# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the panicast packages in containers, tests them, and crashes machines that have them."""
