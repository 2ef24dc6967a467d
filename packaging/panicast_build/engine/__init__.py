# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds or starts the container engine, makes images, and runs commands in containers."""
