# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m panicast_receiver`` is the same as the ``panicast-receiver`` command."""

import sys

from .cli.main import main

sys.exit(main())
