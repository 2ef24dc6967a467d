# SPDX-License-Identifier: GPL-2.0-or-later
"""What every room stands on: run a command, write a file, say an error, show progress, find the tree.

Nothing here knows of distributions, containers or kernels.
"""
