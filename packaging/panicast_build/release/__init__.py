# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv release: makes a signed release folder from a clean tree, in steps that it can resume."""
