# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the patched kernel, which gives the panic module kernel_log_buffer()."""
