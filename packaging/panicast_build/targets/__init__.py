# SPDX-License-Identifier: GPL-2.0-or-later
"""Describes what is built and crashed, as data: distributions, kernels, versions, the changelog,
bundled modules."""
