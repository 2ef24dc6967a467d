# SPDX-License-Identifier: GPL-2.0-or-later
"""Words as values of PostgreSQL's text search, which has limits. The server itself is in tests/servers."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.central.words import vector
from panicast_receiver.db.words import Words

NOTHING = Words("", "", "", "", "", "")
#: A lexeme and its positions.
_PART = re.compile(r"'([^']*)'(?::(\S+))?")


def parts(words: Words) -> dict[str, list[str]]:
    return {word: places.split(",") if places else [] for word, places in _PART.findall(vector(words))}


def test_a_word_is_there_as_itself_and_by_its_field() -> None:
    found = parts(NOTHING._replace(host="db-03", text="Kernel BUG"))
    assert found["db"] == found["host/db"] == ["4"] and found["host/"] == ["3"]
    (first,), (second,) = found["kernel"], found["bug"]
    assert (int(first[:-1]) + 1, first[-1]) == (int(second[:-1]), "A") == (int(second[:-1]), second[-1])


def test_the_end_of_a_text_has_positions_and_no_text_keeps_it_out() -> None:
    """A crash is at the end, whatever a host has logged before."""
    for before in ([f"w{number}" for number in range(40_000)], ["a", "b"] * 60_000, ["x" * 1999] * 600):
        found = parts(NOTHING._replace(host="db-03", text=" ".join([*before, "kernel", "bug", "at"])))
        (first,), (second,), (third,) = (found[word] for word in ("kernel", "bug", "at"))
        assert [int(first[:-1]) + 2, int(second[:-1]) + 1] == [int(third[:-1])] * 2
        assert found["host/db"] == ["4"] and set(before) <= set(found)


@given(st.builds(Words, *[st.text(max_size=60)] * 6), st.integers(0, 20_000))
def test_no_limit_is_passed_and_no_phrase_goes_from_one_field_to_the_next(words, many) -> None:
    found = parts(words._replace(text="a1 " * many + words.text))
    assert all(len(places) <= 255 for places in found.values())
    inside = {int(place.rstrip("A")) for places in found.values() for place in places if place[-1] == "A"}
    outside = {int(place) for places in found.values() for place in places if place[-1] != "A"}
    assert max(inside | outside) <= 16_383 and (not inside or min(inside) > max(outside) + 1)
