# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses what arrives: Ethernet frames, the v1 and raw formats, netconsole's messages, seals.

It takes bytes and returns values. Nothing here keeps state, waits or opens a socket.
"""
