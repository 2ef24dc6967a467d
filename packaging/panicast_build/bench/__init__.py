# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv bench: measures the figures of docs/benchmarks*.md, and the same of comparable tools in the
same run."""
