# SPDX-License-Identifier: GPL-2.0-or-later
"""./inv repo: publishes signed apt and dnf repositories of the packages in dist/, atomically."""
