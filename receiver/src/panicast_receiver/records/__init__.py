# SPDX-License-Identifier: GPL-2.0-or-later
"""What the receiver knows of one record, and how it looks as text.

Every room above uses these values: assembly creates them, db stores them, sinks and web show them.
"""
