# SPDX-License-Identifier: GPL-2.0-or-later
"""The container engine: find or start it, make images, run commands in containers."""
