# SPDX-License-Identifier: GPL-2.0-or-later
"""The crash matrix: stock kernels crashed in many ways, in guests that are a kernel and an initramfs."""
