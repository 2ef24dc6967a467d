# SPDX-License-Identifier: GPL-2.0-or-later
"""The crash matrix: crashes stock kernels in many ways, in guests made of a kernel and an
initramfs."""
