# SPDX-License-Identifier: GPL-2.0-or-later
"""The panicast receiver: captures, reassembles, stores and shows what panicking machines send.

``capture`` takes a packet from the network, ``assembly`` decodes it with ``wire`` and puts records
together, ``service`` hands them to ``db``. ``sinks``, ``web`` and ``cli`` read what is stored. Only
``capture`` knows sockets of the segment, only ``db`` knows SQLite, only ``service`` knows threads
and signals. Imports go one way; the repository's pyproject.toml lists the rooms from top to bottom.
"""

import sys
from pathlib import Path

# Modules that a package takes along because its distribution has them not; one that is installed goes first.
sys.path.append(str(Path(__file__).with_name("vendored")))
