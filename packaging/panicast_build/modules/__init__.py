# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv modules: packages with the module itself, built for one kernel each, for servers without a
compiler."""
