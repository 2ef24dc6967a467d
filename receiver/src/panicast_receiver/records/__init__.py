# SPDX-License-Identifier: GPL-2.0-or-later
"""What the receiver knows of one record, and how it looks in text.

Everything above stands on these values: assembly makes them, db keeps them, sinks and web show them.
"""
