# SPDX-License-Identifier: GPL-2.0-or-later
"""What a host sends moves no cursor and turns no word around on whoever reads it."""

import sys
import unicodedata

import pytest

from panicast_receiver.text import escape, span

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


def test_no_name_looks_like_another_by_what_nobody_sees():
    """A forged host db-07 with a soft hyphen was a host of its own, which nobody could tell from db-07."""
    unseen = "\xa0\xad\u034f\u115f\u180e\u2003\u2800\u3000\u3164\ufe0f\uffa0\ufff9\ue000"
    unseen += "\U0001d173\U000e0041\U000e0100"
    for one in unseen:
        assert escape(f"db-07{one}").isascii() and escape(f"db-07{one}") != "db-07"
    assert escape("a\U000e0041b") == "a\\U000e0041b"
    seen = "Kernel panic: für Grüße, 日本, é, e\u0301, €, ☺\t"
    assert escape(seen) == seen


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3725, "1 h 2 min"),
        (332382, "3 d 20 h"),
        (86400 * 1234 + 60, "1,234 d 0 h"),
    ],
)
def test_a_length_of_time(seconds, words):
    assert span(seconds) == words
