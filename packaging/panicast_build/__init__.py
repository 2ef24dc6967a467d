# SPDX-License-Identifier: GPL-2.0-or-later
"""The panicast pipeline: builds the packages in containers, tests them, crashes machines that have them."""
