# SPDX-License-Identifier: GPL-2.0-or-later
"""How often crashes come by kernel, label and what crashes tell: what is counted, how sure it is, and what
nobody can tell."""

import contextlib
import json
import math
import random
import sqlite3
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from panicast_receiver.db import labels, schema, traits
from panicast_receiver.db.fleet import Asked
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.records.labels import parse
from panicast_receiver.web import crashrates
from panicast_receiver.wire.v1 import FLAG_SEALED

from ..conftest import explain
from ..db.test_fleet import SECOND, START, record
from ..meaning.test_crash import SYSRQ
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
        found = {one["value"]: one for one in reader.ran(Asked(), START + 100 * DAY * SECOND)}
        assert set(found) == {OLD, NEW, "6.13.0"}
        assert (found[OLD]["hosts"], found[OLD]["crashes"], found[OLD]["crashed"]) == (40, 2, 2)
        assert math.isclose(found[OLD]["host_days"], 400) and math.isclose(found[NEW]["host_days"], 200)
        asked, until_ns = Asked(since_ns=START + 5 * DAY * SECOND), START + 7 * DAY * SECOND
        half = {one["value"]: one for one in reader.ran(asked, until_ns)}
        assert math.isclose(half[OLD]["host_days"], 80) and half[OLD]["crashes"] == 0


def test_the_page_says_which_is_worse_and_what_nobody_can_tell(state):
    with website(state) as page:
        shown = Markup(page.ask(f"/compare?than={OLD}&sort=rate").text)
        text = shown.text
        assert text.index(NEW) < text.rindex("75") and "more often" in text and "cannot tell" in text
        assert "400" in text and "of 15 hosts" in text
        labels = [attrs["aria-label"] for tag, attrs in shown.elements if attrs.get("class") == "plot range"]
        assert labels[0].startswith("75 in 1000 host-days, between 4")
        assert "less often" in Markup(page.ask(f"/compare?than={NEW}").text).text
        for wrong in ("sort=best", "than=", "since=never", "x=1"):
            assert page.ask(f"/compare?{wrong}").status == (200 if wrong == "than=" else 400), wrong
        assert page.ask("/compare?than=none").status == 200
        assert "Nothing to compare" in page.ask("/compare?since=1h").text


def test_programs_are_told_the_same(state):
    with website(state) as page:
        told = json.loads(page.ask(f"/api/v1/compare?than={NEW}").text)
        assert told["than"] == NEW and [one["value"] for one in told["rows"]] == [OLD, NEW, "6.13.0"]
        old, new, other = told["rows"]
        assert (old["crashes"], old["crashed"], old["hosts"], old["host_days"]) == (2, 2, 40, 400)
        assert (old["beside"], new["beside"], other["beside"]) == ("less often", "", "cannot tell")
        assert new["rate"]["low"] < new["rate"]["value"] == 75 < new["rate"]["high"]
        # Without a name it is the one that ran longest.
        assert json.loads(page.ask("/api/v1/compare").text)["than"] == OLD
        assert json.loads(page.ask("/api/v1/compare?since=1h").text)["rows"] == []
        for wrong in ("sort=rate", "than=", "since=never"):
            assert page.ask(f"/api/v1/compare?{wrong}").status == 400, wrong


def test_a_host_that_crashes_again_and_again_makes_no_kernel_bad(tmp_path):
    with contextlib.closing(Store(tmp_path)) as store:
        for number in range(40):
            store.write(list(boot(number, OLD, 10)))
        for number in range(40, 80):
            store.write(
                list(boot(number, NEW, 10, panics=number < 60, host="flaps" if number < 60 else None))
            )
    with website(tmp_path) as page:
        text = Markup(page.ask(f"/compare?than={OLD}").text).text
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
        shown = Markup(page.ask("/compare").text)
        assert len([tag for tag, _ in shown.elements if tag == "tr"]) == 101
        assert [attrs for tag, attrs in shown.elements if tag == "script" and not attrs.get("src")] == []
        assert "\x1b" not in shown.text
        link = next(link for link in shown.links() if "kernel" in link and "search" in link)
        assert page.ask(link[len(page.base) :]).status == 200


NVME = """\
<1>[ 5.1] BUG: kernel NULL pointer dereference, address: 0000000000000058
<4>[ 5.1] Modules linked in: {modules} xfs
<4>[ 5.1] CPU: 1 PID: 7 Comm: kworker/1:2 Tainted: P 6.12.110-amd64 #1 Debian
<4>[ 5.1] Hardware name: {hardware}
<4>[ 5.1] RIP: 0010:nvme_unmap_data+0x5b/0x110 [nvme]
<4>[ 5.1] Call Trace:
<4>[ 5.1]  nvme_irq+0x3a/0x60 [nvme]
<0>[ 5.2] Kernel panic - not syncing: Fatal exception in interrupt
"""
DELL, HPE = "Dell Inc. PowerEdge R650/0PJ80M", "HPE ProLiant DL380 Gen10"
OLD_BIOS = f"{DELL}, BIOS 1.2.4 05/28/2021"


def crash(number, text, **fields):
    """A panic of one of many hosts that never said hello."""
    made = record("panic", f"host-{number}", 1, 2, number, text)
    boot_id = number.to_bytes(16, "big")
    return replace(made, boot_id=boot_id, identity=boot_id + made.identity[16:], **fields)


@pytest.fixture
def crashed(tmp_path):
    """20 hosts with one crash, all but one of which have an old BIOS; 40 with another, of which two have;
    one whose crash does not say."""
    with contextlib.closing(Store(tmp_path)) as store:
        for number in range(20):
            bios = OLD_BIOS if number else f"{HPE}, BIOS U30 02/10/2024"
            store.write([crash(number, NVME.format(hardware=bios, modules="nvidia(POE)"))])
        other = NVME.replace("nvme_", "other_").replace("[nvme]", "[other]")
        for number in range(20, 60):
            bios = OLD_BIOS if number < 22 else f"{HPE}, BIOS U30 02/10/2024"
            store.write([crash(number, other.format(hardware=bios, modules="zfs(POE) nvidia(POE)"))])
        store.write([crash(60, "<0>[ 1.0] Kernel panic - not syncing: sysrq triggered crash\n")])
    explain(tmp_path)
    return tmp_path


def test_what_only_a_crash_tells_has_shares_and_no_rates(crashed):
    with website(crashed) as page:

        def told(by):
            return json.loads(page.ask(f"/api/v1/compare?by={by}").text)

        hardware = told("hardware")
        assert [(one["value"], one["crashes"], one["crashed"]) for one in hardware["rows"]] == [
            (HPE, 39, 39),
            (DELL, 21, 21),
        ]
        first = hardware["rows"][0]
        assert first["share"] == 39 / 60 and hardware["untold"] == 1 and hardware["unsealed"] == 1
        nothing = ("hosts", "host_days", "unsealed_days", "rate", "elsewhere")
        assert {first[name] for name in nothing} == {None} and first["beside"] == ""
        assert [one["value"] for one in told("firmware")["rows"]] == [f"{HPE}, BIOS U30 02/10/2024", OLD_BIOS]
        modules = {one["value"]: one["crashes"] for one in told("module")["rows"]}
        # The crash that names no module counts: it is understood, and has none.
        assert modules == {"nvidia": 60, "zfs": 40, "other": 40, "nvme": 20}
        assert told("module")["rows"][0]["share"] == 60 / 61
        text = Markup(page.ask("/compare?by=hardware").text).text
        assert "not rates" in text and "65%" in text and "1 crash does not say it" in text
        assert "100% of the crashes were not sealed" in text and "more often" not in text


def test_made_up_modules_take_little_memory_and_hide_none_that_many_hosts_have(monkeypatch):
    """Seen before: 5000 texts with 143 made-up modules each, and one look took 545 MiB of the page's 384."""
    monkeypatch.setattr(traits, "MOST_KNOWN", 1000)

    def ask(sql, values):
        for number in range(1000):
            made_up = [f"m{number}_{one}(O)" for one in range(100)]
            modules = ["nvidia(PO)"] if number % 10 == 0 else made_up
            yield {"host": f"h{number}", "crash": json.dumps({"modules": modules}), "is_sealed": 0}

    tracemalloc.start()
    try:
        told = traits.told(ask, Asked("module"), "TRUE")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert told["values"][0] == {
        "value": "nvidia",
        **{"crashes": 100, "crashed": 100, "of": 1000},
        **{"elsewhere": 0, "of_elsewhere": 0},
    }


def test_a_group_is_put_beside_the_other_crashes(crashed):
    with website(crashed) as page:
        groups = json.loads(page.ask("/api/v1/groups").text)["groups"]
        group = next(one["signature"] for one in groups if "nvme_unmap_data" in one["title"])
        links = [one for one in Markup(page.ask(f"/groups/{group}").text).links() if "/compare?" in one]
        assert len(links) == 4 and all(page.ask(one[len(page.base) :]).status == 200 for one in links)
        told = json.loads(page.ask(f"/api/v1/compare?by=firmware&group={group[:6]}").text)
        old, new = told["rows"]
        assert (old["value"], old["crashed"], old["share"]) == (OLD_BIOS, 19, 0.95)
        assert (old["elsewhere"], old["beside"], new["beside"]) == (0.05, "more often", "less often")
        # All have it, wherever they crashed.
        module = json.loads(page.ask(f"/api/v1/compare?by=module&group={group}").text)
        assert {one["value"]: one["beside"] for one in module["rows"]}["nvidia"] == "cannot tell"
        shown = Markup(page.ask(f"/compare?by=firmware&group={group}").text)
        assert "more often" in shown.text and "nvme_unmap_data" in shown.text
        # Each row leads to the records that it counts.
        link = next(one for one in shown.links() if "firmware" in one and "type=panic" in one)
        rows = [tag for tag, _ in Markup(page.ask(link[len(page.base) :]).text).elements if tag == "tr"]
        assert len(rows) == 20
        assert page.ask("/compare?by=firmware&group=0123").status == 404
        for wrong in ("by=rack", "by=label:", "by=label:A", "sealed=yes", "group=x"):
            assert page.ask(f"/compare?{wrong}").status == 400, wrong
        assert "Nothing to compare" in page.ask("/compare?by=firmware&since=1h").text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ('hardware:"PowerEdge R650"', 21),
        ("hardware:proliant", 39),
        ('firmware:"BIOS 1.2.4"', 21),
        ("module:zfs", 40),
        ("module:nvme", 20),
        ("-module:nvme module:nvidia", 40),
        ("module:kworker-1-9", 0),
    ],
)
def test_they_are_searched_for(crashed, words, found):
    with contextlib.closing(Reader(crashed)) as reader:
        assert len(reader.select(Query(search=words))) == found


def test_a_kernel_may_be_worse_for_one_crash(state):
    """Those of the group alone count, beside all days."""
    with contextlib.closing(Store(state)) as store:
        store.write([crash(70, SYSRQ)])
    explain(state)
    with website(state) as page:
        groups = json.loads(page.ask("/api/v1/groups").text)["groups"]
        group = next(one["signature"] for one in groups if one["records"] > 10)
        told = json.loads(page.ask(f"/api/v1/compare?group={group}").text)
        rows = {one["value"]: one for one in told["rows"]}
        assert (rows[OLD]["crashes"], rows[NEW]["crashes"], rows[NEW]["host_days"]) == (2, 15, 200)
        other = next(one["signature"] for one in groups if one["signature"] != group)
        told = json.loads(page.ask(f"/api/v1/compare?group={other}").text)
        assert {one["crashes"] for one in told["rows"]} == {0}


def test_labels_have_rates(state):
    """A host has them whether it crashes or not."""
    with contextlib.closing(schema.open_writer(state / schema.FILE_NAME)) as db:
        labels.put(db, parse("host-* model=R650\nhost-4? model=R750\nhost-5? model=R750\n", "f"))
    with website(state) as page:
        rows = json.loads(page.ask("/api/v1/compare?by=label:model").text)["rows"]
        found = {one["value"]: (one["hosts"], one["crashes"], one["host_days"]) for one in rows}
        # host-4 and host-5 alone are no two digits.
        assert found["R750"] == (20, 15, 200) and found["R650"][1] == 2
        assert rows[1]["beside"] == "more often" and rows[0]["unsealed_days"] == rows[0]["host_days"]
        shown = Markup(page.ask("/compare?by=label:model").text)
        assert "label model" in shown.text
        link = next(one for one in shown.links() if "label%3A" in one)
        assert page.ask(link[len(page.base) :]).status == 200
        assert "Nothing to compare" in page.ask("/compare?by=label:none").text


def sealed(made):
    return replace(made, flags=made.flags | FLAG_SEALED)


def test_who_forges_hellos_of_sealed_hosts_shifts_no_rate(tmp_path):
    """And how much of what is counted anybody can make up is said."""
    honest = [one for number in range(20) for one in boot(number, OLD, 10, panics=number < 5)]
    forged = [
        one
        for number in range(100, 200)
        for one in boot(number, OLD, 10, panics=number < 150, host=f"host-{number % 20}")
    ]

    def told(sealed=False):
        with contextlib.closing(Reader(tmp_path)) as reader:
            return {one["value"]: one for one in reader.ran(Asked(sealed=sealed), START + 100 * DAY * SECOND)}

    with contextlib.closing(Store(tmp_path)) as store:
        # Before its first sealed word nobody knows better; then it is gone.
        store.write(forged[:40])
        store.write([sealed(one) for one in honest])
        before = told()
        store.write(forged[40:])
        assert told() == before
        assert (before[OLD]["crashes"], before[OLD]["unsealed_days"]) == (5, 0)
        assert math.isclose(before[OLD]["host_days"], 200)
        store.write(list(boot(300, NEW, 50)))
    assert told()[NEW]["unsealed_days"] == 50 and set(told(sealed=True)) == {OLD}
    with website(tmp_path) as page:
        assert "20% of the host-days are not sealed" in Markup(page.ask("/compare").text).text
        only = Markup(page.ask("/compare?sealed=true").text).text
        assert "not sealed" not in only and NEW not in only


def test_a_database_from_before_believes_no_unsealed_boot_of_a_sealed_host(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / schema.FILE_NAME)) as db:
        db.executescript((Path(__file__).parents[1] / "db/database-2.sql").read_text())
        columns = "boot_id, host, state, event, first_ns, last_ns, panicked_ns, kernel, module, interfaces"
        for boot_id in (b"sealed-boot-0001", b"forged-boot-0001"):
            db.execute(
                f"INSERT INTO boots ({columns}) VALUES (?, 'h', 'hello', 1, 1, 2, NULL, '6.1', '', '{{}}')",
                (boot_id,),
            )
        db.execute(
            "UPDATE records SET boot_id = ?, flags = flags | 1 WHERE rowid = 1", (b"sealed-boot-0001",)
        )
        db.commit()
    with contextlib.closing(Store(tmp_path)) as store:
        found = store._db.execute("SELECT boot_id FROM boots WHERE host = 'h'").fetchall()
    assert [bytes(row[0]) for row in found] == [b"sealed-boot-0001"]


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0%"), (0.004, "<1%"), (0.5, "50%"), (0.999, ">99%"), (1, "100%")]
)
def test_percentages_say_neither_none_nor_all_of_some(share, said):
    assert crashrates.percent(share) == said
