# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv bench: measures the figures of docs/benchmarks*.md, with the peers in the same run."""
