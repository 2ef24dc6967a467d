# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv repo: apt and dnf repositories of what is in dist/, signed, published whole or not at all."""
