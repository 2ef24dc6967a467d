# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host sends moves no cursor and turns no word around on whoever reads it."""

import sys
import unicodedata

from panicast_receiver.text import escape

#: What changes the direction of the characters after it (Unicode's Bidi_Class).
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_no_character_controls_or_turns_what_is_printed():
    characters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code) != "\t"]
    bad = [
        one
        for one in characters
        if unicodedata.category(one) == "Cc" or unicodedata.bidirectional(one) in TURNING
    ]
    assert len(bad) > 70 and [one for one in bad if escape(f"a{one}b") == f"a{one}b"] == []
    # A space of no width tells two names that look like one.
    assert escape("a\u200bb\u2060c") == "a\\u200bb\\u2060c"
