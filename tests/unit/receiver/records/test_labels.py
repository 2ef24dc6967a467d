# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines that give hosts labels: what they say, what is wrong with them, what a filter lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.errors import UsageError
from panicast_receiver.records import labels
from panicast_receiver.records.labels import Rule, fit, parse, shown


def test_lines_as_an_inventory_has_them():
    text = """# HOST NAME=VALUE
*        owner=ops   # all of them
\tDB-*  Role=database owner="data base team"\r
[racks]
db-03    rack=R12#4 owner=
web-01
"""
    assert parse(text, "f") == [
        Rule("*", "owner", "ops"),
        Rule("DB-*", "role", "database"),
        Rule("DB-*", "owner", "data base team"),
        Rule("db-03", "rack", "R12#4"),
        Rule("db-03", "owner", ""),
    ]
    assert [rule.is_pattern for rule in parse(text, "f")] == [True, True, True, False, False]
    # A quotation mark in a comment quotes nothing.
    assert parse("db-1 owner='data base' # it's theirs", "f") == [Rule("db-1", "owner", "data base")]
    assert parse("db-1 owner='x y' #don't", "f") == [Rule("db-1", "owner", "x y")]
    # Inside a word # begins no comment, whatever is quoted in the line.
    assert parse("db-1 rack=\"R12\"#4 owner=a#b role='x'", "f") == [
        Rule("db-1", "rack", "R12#4"),
        Rule("db-1", "owner", "a#b"),
        Rule("db-1", "role", "x"),
    ]
    # A backslash is one, unless its word has a quotation mark.
    assert parse('db-1 a=x\\y b="x\\"y" c=\\"z', "f") == [
        Rule("db-1", "a", "x\\y"),
        Rule("db-1", "b", 'x"y'),
        Rule("db-1", "c", '"z'),
    ]
    assert len(parse("a " + " ".join(f"n{number}=1" for number in range(16)), "f")) == 16


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a rack=1\nb rack = r12", "f: line 2: 'rack' is not a label; right is NAME=VALUE"),
        ("rack=r12", "f: line 1: it must begin with a host's name or a pattern, not 'rack=r12'"),
        ("h" * 256 + " a=b", "line 1: it must begin with"),
        ("a 5rack=1", "'5rack=1' is not a label"),
        ("a rack-row=1", "'rack-row=1' is not a label"),
        ("a " + "n" * 33 + "=1", "is not a label"),
        ("a rack=" + "x" * 65, "the value of rack is wrong; right are at most 64 characters"),
        ("a rack=\x1b[2J", "the value of rack is wrong"),
        ("a rack=\u202eevil", "the value of rack is wrong"),
        ("a owner='x", "line 1: No closing quotation"),
        ('a owner="x\\', "line 1: No "),
        ("'' owner=x", "line 1: it must begin with a host's name or a pattern, not ''"),
        ("a " + " ".join(f"n{number}=1" for number in range(17)), "17 names of labels (n0, n1, n10, …)"),
        ("\n".join(f"a{number}* x=1" for number in range(1001)), "more than 1,000 labels of patterns"),
    ],
)
def test_what_is_wrong_is_said_by_file_and_line(text, words):
    with pytest.raises(UsageError) as wrong:
        parse(text, "f")
    assert words in str(wrong.value)


def test_there_are_not_too_many(monkeypatch):
    monkeypatch.setattr(labels, "MOST_RULES", 3)
    assert len(parse("a x=1 y=2\nb x=1", "f")) == 3
    with pytest.raises(UsageError, match="f: more than 3 labels"):
        parse("a x=1 y=2\nb x=1 y=2", "f")


@given(st.text())
def test_any_lines_are_rules_or_explained(text):
    try:
        found = parse(text, "f")
    except UsageError as error:
        assert str(error).startswith("f: ")
    else:
        assert all(rule.value.isprintable() and len(rule.value) <= 64 and rule.pattern for rule in found)


@pytest.mark.parametrize(
    ("wanted", "let_through"),
    [
        ([], True),
        (["owner=dba"], True),
        (["owner=DB*"], True),
        (["owner=ops", "owner=dba"], True),
        (["owner=dba", "rack=r13"], False),
        (["owner=dba", "rack=r1?"], True),
        (["role=*"], True),
        (["role=?*"], False),
    ],
)
def test_a_filter_wants_one_value_of_each_name(wanted, let_through):
    assert fit({"owner": "dba", "rack": "r12"}, wanted) is let_through


def test_shown_in_one_line():
    assert shown({"owner": "data base", "rack": "r12"}) == "owner=data base rack=r12"
