# SPDX-License-Identifier: GPL-2.0-or-later
"""What every room needs: run a command, write a file, report an error, show progress, find the
tree.

Nothing here knows distributions, containers or kernels.
"""
