# SPDX-License-Identifier: GPL-2.0-or-later
"""The panicast receiver: capture, reassemble, store and show what panicking machines send.

How a packet travels: ``capture`` → ``intake`` (decode, count) → ``reassembly`` or ``rawrecords``
→ ``handoff`` (bounded queue) → ``committer`` → ``store``. Only capture knows sockets, only the
store knows SQLite, only the service knows threads and signals; the middle is pure.
"""

import sys
from pathlib import Path

# Modules that a package takes along because its distribution has them not; one that is installed goes first.
sys.path.append(str(Path(__file__).with_name("vendored")))
