# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv release: from a clean tree to a signed release folder, in steps that are resumed where they ended."""
