# SPDX-License-Identifier: GPL-2.0-or-later
"""How often kernels crash: what is counted, how sure it is, and what nobody can tell."""

import contextlib
import json
import math
import random
from dataclasses import replace

import pytest

from panicast_receiver.db.reader import Reader
from panicast_receiver.db.store import Store
from panicast_receiver.web import crashrates

from ..db.test_fleet import SECOND, START, record
from .test_web import Markup
from .website import website

DAY = 86400
OLD, NEW = "6.12.110-amd64", "6.12.118-amd64"


def boot(number, kernel, days, panics=False, host=None):
    """A boot that is heard for so many days, and says goodbye or panics then."""
    name = host or f"host-{number}"
    end = ("panic", "<0>[ 9.0] Kernel panic - not syncing: x\n") if panics else ("bye", "")
    made = [
        record("hello", name, 1, 1, 0, release=kernel),
        record(end[0], name, 1, 2, int(days * DAY), end[1], release=kernel),
    ]
    for one in made:
        boot_id = number.to_bytes(16, "big")
        yield replace(one, boot_id=boot_id, identity=boot_id + one.identity[16:])


@pytest.fixture
def state(tmp_path):
    """40 boots of the old kernel, 20 of the new one, of which more crash; and one of a third."""
    with contextlib.closing(Store(tmp_path)) as store:
        for number in range(40):
            store.write(list(boot(number, OLD, 10, panics=number < 2)))
        for number in range(40, 60):
            store.write(list(boot(number, NEW, 10, panics=number < 55)))
        store.write(list(boot(60, "6.13.0", 0.5)))
        # Of what was never greeted nobody knows how long it ran.
        store.write(list(boot(61, "6.14.0", 1, panics=True))[1:])
    return tmp_path


def test_boots_and_their_time_are_counted(state):
    with contextlib.closing(Reader(state)) as reader:
        found = {one["kernel"]: one for one in reader.kernels(0, START + 100 * DAY * SECOND)}
        assert set(found) == {OLD, NEW, "6.13.0"}
        assert (found[OLD]["hosts"], found[OLD]["crashes"], found[OLD]["crashed"]) == (40, 2, 2)
        assert math.isclose(found[OLD]["host_days"], 400) and math.isclose(found[NEW]["host_days"], 200)
        half = {
            one["kernel"]: one for one in reader.kernels(START + 5 * DAY * SECOND, START + 7 * DAY * SECOND)
        }
        assert math.isclose(half[OLD]["host_days"], 80) and half[OLD]["crashes"] == 0


def test_the_page_says_which_is_worse_and_what_nobody_can_tell(state):
    with website(state) as page:
        shown = Markup(page.ask(f"/kernels?kernel={OLD}&sort=rate").text)
        text = shown.text
        assert text.index(NEW) < text.rindex("75") and "more often" in text and "cannot tell" in text
        assert "400" in text and "of 15 hosts" in text
        labels = [attrs["aria-label"] for tag, attrs in shown.elements if attrs.get("class") == "plot range"]
        assert labels[0].startswith("75 in 1000 host-days, between 4")
        assert "less often" in Markup(page.ask(f"/kernels?kernel={NEW}").text).text
        for wrong in ("sort=best", "kernel=", "since=never", "x=1"):
            assert page.ask(f"/kernels?{wrong}").status == (200 if wrong == "kernel=" else 400), wrong
        assert page.ask("/kernels?kernel=none").status == 200
        assert "No kernel is known" in page.ask("/kernels?since=1h").text


def test_programs_are_told_the_same(state):
    with website(state) as page:
        told = json.loads(page.ask(f"/api/v1/kernels?kernel={NEW}").text)
        assert told["than"] == NEW and [one["kernel"] for one in told["kernels"]] == [OLD, NEW, "6.13.0"]
        old, new, other = told["kernels"]
        assert (old["crashes"], old["crashed"], old["hosts"], old["host_days"]) == (2, 2, 40, 400)
        assert (old["beside"], new["beside"], other["beside"]) == ("less often", "", "cannot tell")
        assert new["rate"]["low"] < new["rate"]["value"] == 75 < new["rate"]["high"]
        # Without a name it is the one that ran longest.
        assert json.loads(page.ask("/api/v1/kernels").text)["than"] == OLD
        assert json.loads(page.ask("/api/v1/kernels?since=1h").text) == {"kernels": [], "than": ""}
        for wrong in ("sort=rate", "kernel=", "since=never"):
            assert page.ask(f"/api/v1/kernels?{wrong}").status == 400, wrong


def test_a_host_that_crashes_again_and_again_makes_no_kernel_bad(tmp_path):
    with contextlib.closing(Store(tmp_path)) as store:
        for number in range(40):
            store.write(list(boot(number, OLD, 10)))
        for number in range(40, 80):
            store.write(
                list(boot(number, NEW, 10, panics=number < 60, host="flaps" if number < 60 else None))
            )
    with website(tmp_path) as page:
        text = Markup(page.ask(f"/kernels?kernel={OLD}").text).text
        assert "of 1 host" in text and "more often" not in text and "cannot tell" in text


@pytest.mark.parametrize(
    ("crashes", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (5, 1.623, 11.668), (100, 81.36, 121.63)]
)
def test_intervals_are_those_of_the_tables(crashes, low, high):
    """Exact Poisson limits, of Garwood (1936)."""
    found = crashrates.rate(crashes, crashrates.PER)
    assert found.value == crashes
    assert found.low == pytest.approx(low, abs=0.12) and found.high == pytest.approx(high, abs=0.12)


@pytest.mark.parametrize("many", [1, 200])
def test_equal_kernels_are_hardly_ever_told_apart(many):
    """Draws of the same rate; above a thousand crashes the other way of counting is used."""
    draw = random.Random(1)

    def crashes(expected):
        return sum(draw.random() < expected / 2000 for _ in range(2000))

    wrong = sum(
        bool(crashrates.differs((crashes(8 * many) if many < 100 else crashes(1200), 1000.0),
                           (crashes(8 * many) if many < 100 else crashes(1200), 1000.0)))
        for _ in range(200)
    )  # fmt: skip
    assert wrong <= 8


@pytest.mark.parametrize(
    ("one", "other", "sign"),
    [
        ((0, 10.0), (0, 10.0), 0),
        ((1, 10.0), (0, 10.0), 0),
        ((3, 0.0), (3, 10.0), 0),
        ((30, 100.0), (3, 100.0), 1),
        ((3, 100.0), (30, 100.0), -1),
        ((3000, 100.0), (2000, 100.0), 1),
        ((2000, 1e-9), (2000, 1e9), 1),
        ((500, 1e-300), (1, 1e300), 1),
    ],
)
def test_who_differs(one, other, sign):
    assert crashrates.differs(one, other) == sign


def test_made_up_kernels_are_text_and_few(tmp_path):
    with contextlib.closing(Store(tmp_path)) as store:
        for number in range(120):
            store.write(list(boot(number, f'6.{number}"><script>\x1b[2J', 1)))
    with website(tmp_path) as page:
        shown = Markup(page.ask("/kernels").text)
        assert len([tag for tag, _ in shown.elements if tag == "tr"]) == 101
        assert [attrs for tag, attrs in shown.elements if tag == "script" and not attrs.get("src")] == []
        assert "\x1b" not in shown.text
        link = next(link for link in shown.links() if "kernel" in link and "search" in link)
        assert page.ask(link[len(page.base) :]).status == 200
