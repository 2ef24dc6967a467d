# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page asks of the central store: the same questions on SQLite and on PostgreSQL, which the sink has
filled from it, have the same answers."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from panicast_receiver import orders
from panicast_receiver.central import merging
from panicast_receiver.central.engine import Central
from panicast_receiver.db import fleet, maintenance
from panicast_receiver.db.boots import Ages
from panicast_receiver.db.follower import Follower
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.db.store import Store
from panicast_receiver.errors import NotFoundError
from panicast_receiver.sinks.postgresql import PostgreSQL
from panicast_receiver.sinks.telling import notice_of

from ..unit.receiver.conftest import explain
from ..unit.receiver.db.test_fleet import SECOND, START, record
from ..unit.receiver.meaning.test_crash import ARM, OOPS, SYSRQ
from ..unit.receiver.web.website import website
from .conftest import wait_until


def fill(folder) -> None:
    """A folder with crashes of three kinds, one with a gap, and a drill."""
    now = int(time.time()) - START // SECOND
    whole = record("panic", "db-03.example.net", 3, 2, now - 50, OOPS, release="6.1.118-amd64")
    run = whole.runs[0]
    gapped = [run._replace(data=run.data[:40]), run._replace(offset=80, data=run.data[80:])]
    with closing(Store(folder)) as store:
        store.write(
            [
                record("panic", "db-03.example.net", 3, 1, now - 90000, SYSRQ, release="6.1.118-amd64"),
                whole.__class__(**{**vars(whole), "runs": tuple(gapped)}),
                record("panic", "db-04.example.net", 4, 1, now - 70000, SYSRQ, release="6.12.9-amd64"),
                record("oops", "arm-05", 5, 1, now - 40, ARM.rsplit("<0>", 1)[0], release="5.10.0"),
                record(
                    "test",
                    "web-01",
                    1,
                    2,
                    now - 30,
                    "<6>[ 0.0] drill of 'Zoë'\n",
                    reason="drill",
                    tag="row-7",
                ),
            ]
        )
    explain(folder)


def tell(folder, dsn) -> None:
    """What the service's thread of the sink does."""
    with closing(Reader(folder)) as reader:
        PostgreSQL(dsn).deliver([notice_of(reader, entry) for entry in reader.select(Query())])


@pytest.fixture
def both(postgres, tmp_path):
    """Readers of the two."""
    fill(tmp_path)
    tell(tmp_path, postgres.dsn)
    with closing(Reader(tmp_path)) as own, closing(Reader(Central(postgres.dsn))) as central:
        yield own, central


SEARCHES = (
    *("example", "exam", "xample", "sysrq", "host:db-*", "host:db", "host:03", "kernel:6.1", "kernel:6.12"),
    *("kind:oops", "kind:oops -arm", "-host:db", '"drill of"', '"of drill"', "text:drill", "sym:drill"),
    *("about:row-7", "Zoë", "zoË", "nosuchfield:drill", "since:1h", "example since:1h", "' OR 1=1 --"),
    *('a" OR "b', "sym:sysrq_handle_crash", "drill -zoë", "1", "o'brien a\\b"),
)


def test_both_say_the_same(both) -> None:
    own, central = both
    now_ns = time.time_ns()
    ages = Ages(900, 30)
    queries = [
        Query(),
        Query(limit=2),
        Query(type="panic"),
        Query(host="db-03.example.net"),
        Query(folded=True, everything=True),
        Query(since_ns=now_ns - 3600 * SECOND),
        *(Query(search=text) for text in SEARCHES),
        Query(search="example", host="db-04.example.net", limit=5),
    ]
    for query in queries:
        # The store has microseconds of the sender's clock.
        assert [one.summary for one in central.select(query)] == [
            {**one.summary, "time": one.summary["time"][:26] + "000Z"} for one in own.select(query)
        ], query
        assert central.groups(query) == own.groups(query), query
    for entry in own.select(Query()):
        found = central.find(entry.summary["id"][:8])
        assert found.identity == entry.identity
        assert central.load(found).marked_text == own.load(entry).marked_text
        assert central.load(found).received_text == own.load(entry).received_text
        if signature := entry.summary["signature"]:
            assert central.group(signature) == own.group(signature)
            for width in (3600 * SECOND, 86400 * SECOND):
                asked = (Query(folded=True), [signature], now_ns - 2 * 86400 * SECOND, width)
                assert central.timelines(*asked) == own.timelines(*asked)
    first = own.select(Query(limit=1))[0]
    (before,) = central.select(Query(before=central.find(first.summary["id"]).number, limit=1))
    assert before.summary["id"] == own.select(Query(before=first.number, limit=1))[0].summary["id"]
    assert sorted(central.totals(), key=str) == sorted(own.totals(), key=str)
    assert central.group_count() == own.group_count()
    assert central.burning(ages, now_ns) == own.burning(ages, now_ns)
    assert central.hosts(ages, now_ns) == own.hosts(ages, now_ns)
    assert central.host_states(ages, now_ns, ["db"]) == own.host_states(ages, now_ns, ["db"])
    assert central.boots_of("db-03.example.net", ages, now_ns) == own.boots_of(
        "db-03.example.net", ages, now_ns
    )
    group = own.groups(Query())[0]["signature"]
    for by in ("kernel", "label:rack"):
        for one in (None, group):
            ran = fleet.Asked(by, one, START, sealed=bool(one))
            assert central.ran(ran, now_ns) == own.ran(ran, now_ns) == []
    for by in ("hardware", "firmware", "module"):
        for one in (None, group):
            assert central.told(fleet.Asked(by, one)) == own.told(fleet.Asked(by, one))
            told = fleet.Asked(by, one, sealed=True)
            assert central.told(told) == own.told(told)
    assert own.told(fleet.Asked("hardware"))["values"]
    assert central.states_of(["db-03.example.net"], ages, now_ns) == {"db-03.example.net": "panicked"}
    assert central.windows(now_ns, over=True) == [] and central.maintained(ages, now_ns) == {}
    assert central.labelled(ages, now_ns) == {} and central.backlogs() == {} and central.size() > 8192
    with pytest.raises(NotFoundError):
        central.find("0")


def counted(postgres):
    """What the store has counted, and what a count of all finds."""
    kept = [
        "SELECT type, records, incomplete FROM panicast.type_tallies ORDER BY 1",
        "SELECT signature, records, hosts, first_ns, last_ns FROM panicast.groups ORDER BY 1",
        "SELECT signature, host, records FROM panicast.group_hosts ORDER BY 1, 2",
        "SELECT signature, kernel, title, records FROM panicast.group_names ORDER BY 1, 2, 3",
        "SELECT signature, day, records FROM panicast.group_days ORDER BY 1, 2",
    ]
    crashes = "FROM panicast.records WHERE signature <> ''"
    fresh = [
        "SELECT type, count(*), sum((NOT complete)::int) FROM panicast.records GROUP BY 1 ORDER BY 1",
        f"SELECT signature, count(*), count(DISTINCT host), min(received_ns), max(received_ns) {crashes} "
        "GROUP BY 1 ORDER BY 1",
        f"SELECT signature, host, count(*) {crashes} GROUP BY 1, 2 ORDER BY 1, 2",
        f"SELECT signature, kernel, title, count(*) {crashes} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        f"SELECT signature, received_ns / 86400000000000, count(*) {crashes} GROUP BY 1, 2 ORDER BY 1, 2",
    ]
    return [[postgres.ask(sql) for sql in queries] for queries in (kept, fresh)]


def test_receivers_that_write_at_once_lose_no_count_and_no_record(postgres, tmp_path) -> None:
    """Four heard the same panics, each another part of them, in the same microseconds."""
    whole = [record("panic", f"db-{number:02}", number + 1, 1, 0, OOPS) for number in range(40)]
    folders = [tmp_path / str(number) for number in range(4)]
    for place, folder in enumerate(folders):
        heard = [
            one
            if number % 4 == place
            else replace(one, runs=(one.runs[0]._replace(data=OOPS.encode()[:900]),))
            for number, one in enumerate(whole)
        ]
        with closing(Store(folder)) as store:
            store.write(heard)
        explain(folder)
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(tell, folder, postgres.dsn) for folder in folders * 2]:
            done.result()
    rows = postgres.ask("SELECT count(*), count(DISTINCT number), bool_and(complete) FROM panicast.records")
    assert rows == [(40, 40, True)]
    kept, fresh = counted(postgres)
    assert kept == fresh and kept[1][0][1:3] == (40, 40)
    (newest,) = postgres.ask("SELECT max(changed) FROM panicast.records")
    assert newest == postgres.ask("SELECT value FROM panicast.counters")[0]


def test_what_an_older_receiver_wrote_is_taken_in(postgres, both, tmp_path) -> None:
    own, central = both
    before = counted(postgres)
    follower = Follower(Central(postgres.dsn))
    cursor = follower.reader().cursor()
    wanted = [one.summary["id"] for one in own.select(Query())]
    assert [one.summary["id"] for one in follower.after(0, Query())] == wanted
    assert follower.after(cursor, Query()) == []
    postgres.ask("UPDATE panicast.records SET words = NULL, changed = 0")
    for table in ("type_tallies", "groups", "group_hosts", "group_names", "group_days", "boots"):
        postgres.ask(f"DELETE FROM panicast.{table}")
    tell(tmp_path, postgres.dsn)
    kept, fresh = counted(postgres)
    assert kept == fresh
    assert [one[:3] for one in kept[1]] == [one[:3] for one in before[0][1]]
    # They are told of as what came now.
    assert follower.changed() and len(follower.after(cursor, Query())) == len(wanted)
    follower.close()
    ids = [one.summary["id"] for one in own.select(Query(search="sysrq"))]
    assert ids == [one.summary["id"] for one in central.select(Query(search="sysrq"))] != []


def test_tables_of_an_older_receiver_are_brought_up_to_date_whatever_is_in_them(postgres, tmp_path) -> None:
    """Of the version before the page: what it let in that nobody can read, too."""
    for number, step in enumerate(merging.MIGRATIONS[:4], 1):
        postgres.ask(step)
        postgres.ask(merging.APPLIED % number)
    row = {
        **{name: "''" for name in merging.COLUMNS if name not in ("meaning", "meaning_failure")},
        **dict.fromkeys(("bytes", "frames", "restored", "known"), "1"),
        **dict.fromkeys(("complete", "sealed", "contested", "doubted"), "false"),
        **dict.fromkeys(("older_text", "metadata_missing"), "false"),
        **dict.fromkeys(("boot_id", "event", "time", "crash", "raw"), "NULL"),
        **{"gaps": "'[]'", "source": "'{}'", "meta": "'{}'", "text": "'an older text'"},
        **{"type": "'panic'", "received": "'2026-11-26T20:00:00Z'", "signature": "'0123456789ab'"},
    }
    odd = [
        {},
        {},
        {"release": "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 500) AS n)"},
        {"received": "'infinity'"},
        {"time": "'20000-01-01'"},
        {"boot_id": "'00000000000000000000000000000001'"},
    ]
    for number, changed in enumerate(odd):
        one = {**row, "identity": f"'\\x{number:02}'", "id": f"'00000000000{number}'", **changed}
        postgres.ask(f"INSERT INTO panicast.records ({', '.join(one)}) VALUES ({', '.join(one.values())})")
    fill(tmp_path)
    tell(tmp_path, postgres.dsn)
    with closing(Reader(Central(postgres.dsn))) as central:
        assert len(central.select(Query())) == len(odd) + 5
        assert len(central.select(Query(search='"older text"'))) == len(odd)
        assert central.group("0123456789ab")["records"] == len(odd)
    kept, fresh = counted(postgres)
    assert [one[:4] for one in kept[1]] == [one[:4] for one in fresh[1]] and kept[0] == fresh[0]


def test_an_older_record_that_cannot_be_taken_in_keeps_no_other(postgres, both, tmp_path, caplog) -> None:
    own, _ = both
    entries = own.select(Query())
    bad = entries[1].identity.hex()
    postgres.ask("UPDATE panicast.records SET words = NULL")
    postgres.ask(f"UPDATE panicast.records SET received_ns = NULL WHERE identity = '\\x{bad}'")
    # Of this one the receiver tells again, of the others not.
    PostgreSQL(postgres.dsn).deliver([notice_of(own, entries[-1])])
    assert f"older record {entries[1].summary['id']} is found by no word" in caplog.text
    asked = "SELECT encode(identity, 'hex') FROM panicast.records WHERE words = ''"
    assert postgres.ask(asked) == [(bad,)]
    assert postgres.ask("SELECT 1 FROM panicast.records WHERE words IS NULL") == []
    found = [{one.identity.hex() for one in each.select(Query(search="sysrq"))} for each in both]
    assert found[1] == found[0] - {bad} != set()


def documents(folder, *records):
    """What a receiver tells that has heard nothing else."""
    with closing(Store(folder)) as store:
        store.write(records)
    explain(folder)
    with closing(Reader(folder)) as reader:
        return [notice_of(reader, entry) for entry in reader.select(Query())]


def test_unsealed_words_of_a_host_that_has_sealed_change_nothing(postgres, tmp_path) -> None:
    """Another receiver heard them, which has never heard the host."""
    sink, ages = PostgreSQL(postgres.dsn), Ages(900, 0)
    now = int(time.time()) - START // SECOND

    def heard(name, host, boot, event, when, type="panic", sealed=False):
        one = record(type, host, boot, event, now + when, OOPS)
        (notice,) = documents(tmp_path / name, replace(one, identity=one.identity + name.encode()))
        sink.deliver([notice._replace(record={**notice.record, "sealed": sealed})])
        return notice.record["id"]

    def shown(host):
        found = central.hosts(ages, time.time_ns(), words=[host])
        return [(one["boot_id"][-2:], one["state"]) for one in found]

    def doubted(id):
        return central.find(id).summary["doubted"]

    first = heard("first", "db-01", 1, 1, -90, "test", sealed=True)
    with closing(Reader(Central(postgres.dsn))) as central:
        before = shown("db-01")
        forged = [heard("newer", "db-01", 2, 1, -80), heard("same", "db-01", 1, 2, -70)]
        assert all(map(doubted, forged)) and shown("db-01") == before == [(before[0][0], "unknown")]
        heard("by-another-name", "x-01", 1, 1, -65)
        assert not central.find(first).summary["contested"]
        # Forged first: nobody knew better, until the host seals.
        early = [heard("early", "web-01", 3, 1, -60), heard("early-too", "web-01", 4, 1, -50)]
        assert [state for _, state in shown("web-01")] == ["panicked"] and not any(map(doubted, early))
        heard("late", "web-01", 3, 2, -40, "test", sealed=True)
        assert [state for _, state in shown("web-01")] == ["unknown"]
        assert [doubted(one) for one in early] == [True, False]
        # Who has a key of its own seals with the boot id of another host.
        honest = heard("honest", "arm-01", 5, 1, -30)
        heard("evil", "evil-01", 5, 2, -20, "test", sealed=True)
        after = heard("after", "arm-01", 5, 3, -10)
        assert not doubted(honest) and not doubted(after)
        assert [state for _, state in shown("arm-01")] == ["panicked"]


def test_a_crash_is_found_by_its_words_after_whatever_was_logged_before(postgres, tmp_path) -> None:
    now = int(time.time()) - START // SECOND
    before = [" ".join(f"w{number}" for number in range(30_000)), "a b\n" * 60_000, ("x" * 1999 + "\n") * 120]
    PostgreSQL(postgres.dsn).deliver(
        documents(
            tmp_path,
            *(
                record("panic", "db-01", 1, number, now, f"{text}\nso it ends")
                for number, text in enumerate(before)
            ),
        )
    )
    with closing(Reader(Central(postgres.dsn))) as central:
        for search in ('"so it ends"', "text:ends", 'host:db-01 "it ends"'):
            assert len(central.select(Query(search=search))) == len(before), search


def test_a_text_that_postgresql_cannot_hold_is_looked_for_and_stored(postgres, both) -> None:
    _, central = both
    for text in ("a\0b", "a\ud800b"):
        assert central.select(Query(host=text)) == []
        with pytest.raises(NotFoundError):
            central.group(text)
        with pytest.raises(NotFoundError):
            central.find(text)
    order = maintenance.Order("start", "", "db-\0\ud800*", "", "4h", "no\0te", "ann", "test")
    assert orders.carry_out(Central(postgres.dsn), maintenance.checked(order)) == 1
    assert central.window(1, time.time_ns())["note"] == "no\\x00te"


def test_the_page_shows_the_store_and_comes_back_with_the_server(postgres, tmp_path) -> None:
    fill(tmp_path / "a")
    with website(tmp_path / "b", "--postgresql", postgres.dsn) as page:
        early = page.ask("/")
        assert early.status == 503 and "the central store has no tables yet" in early.text
        tell(tmp_path / "a", postgres.dsn)
        with closing(Reader(tmp_path / "a")) as reader:
            entries = reader.select(Query())
            wanted = [entry.summary["id"] for entry in entries][::-1]
            group = entries[0].summary["signature"]
        found = json.loads(page.ask("/api/v1/records").body)["records"]
        assert [one["id"] for one in found] == wanted
        for path, said in {
            "/": "db-04.example.net",
            f"/?search={'host:db-*'}": "db-03.example.net",
            f"/records/{wanted[-1]}": "sysrq",
            "/groups": group,
            f"/groups/{group}": group,
            "/hosts": "db-04.example.net",
            "/hosts?state=panicked&search=db-03": "db-03.example.net",
            "/host?host=db-03.example.net": wanted[-1],
            "/compare": "Nothing to compare",
            "/compare?by=hardware": "PowerEdge",
            "/maintenance": "Windows of receivers are not known to the central store",
            f"/api/v1/records/{wanted[0]}": "drill",
            f"/api/v1/records/{wanted[0]}/text": "drill of",
            f"/api/v1/groups/{group}": "by_host",
            "/api/v1/hosts": "panicked",
            "/api/v1/compare?by=hardware": "PowerEdge",
            "/metrics": 'panicast_stored_records{type="panic"} 3.0',
            "/healthz": "ok",
        }.items():
            answer = page.ask(path)
            assert answer.status == 200 and said in answer.text, path
        assert "panicast_receiver_up" not in page.ask("/metrics").text
        postgres.kill()
        away = page.ask("/")
        assert away.status == 503 and "the central store does not answer" in away.text
        assert page.ask("/healthz").status == 503 and "panicast_database_up 0.0" in page.ask("/metrics").text
        postgres.start()
        wait_until(lambda: page.ask("/").status == 200, "the page is back")
        assert page.ask("/healthz").status == 200
        # Connections are kept, and no more of them than threads that ask.
        (count,) = postgres.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '% web'")
        assert 1 <= count[0] <= 4


TOKEN = "a-token-of-more-than-twenty-characters"


def test_groups_and_windows_are_changed_in_the_store_and_regressions_are_found(postgres, tmp_path) -> None:
    fill(tmp_path / "a")
    tell(tmp_path / "a", postgres.dsn)
    with closing(Reader(tmp_path / "a")) as reader:
        (group,) = {one.summary["signature"] for one in reader.select(Query(host="db-04.example.net"))}
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with website(tmp_path / "b", "--postgresql", postgres.dsn, "--web-token-file", str(token)) as page:

        def ask(path: str, told: dict[str, str] | None = None):
            sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            answer = page.ask(path, "POST" if told else "GET", told and json.dumps(told), **sent)
            return answer.status, json.loads(answer.body)

        where = f"/api/v1/groups/{group}"
        status, said = ask(where, {"action": "acknowledge", "note": "the vendor has it", "by": "ann"})
        assert (status, said["status"]["state"], said["status"]["by"]) == (200, "acknowledged", "ann")
        status, said = ask(where, {"action": "resolve", "detail": "6.12.118", "by": "bob"})
        assert (status, said["status"]["state"], said["status"]["kernels"]) == (200, "resolved", ["6.12.118"])
        assert ask(where, {"action": "explode", "by": "bob"})[0] == 400
        assert ask("/api/v1/groups/0123456789ab", {"action": "note", "note": "x", "by": "bob"})[0] == 404
        assert ask("/api/v1/groups?state=resolved")[1]["groups"][0]["signature"] == group

        window = {"hosts": "db-0* rack=r12", "until": "4h", "note": "switches", "by": "ann"}
        status, said = ask("/api/v1/maintenance", window)
        assert (status, said["number"], said["state"]) == (200, 1, "now")
        found = {one["host"]: one["maintenance"] for one in ask("/api/v1/hosts")[1]["hosts"]}
        assert found == {"db-03.example.net": 1, "db-04.example.net": 1}
        assert ask("/api/v1/maintenance/1", {"by": "bob", "note": "done"})[1]["state"] == "over"
        assert [one["number"] for one in ask("/api/v1/maintenance?over=true")[1]["windows"]] == [1]

        # It comes back on a kernel without the fix, then with it.
        now = int(time.time()) - START // SECOND
        for number, release in ((1, "6.12.9-amd64"), (2, "6.12.120-amd64")):
            folder = tmp_path / f"later-{number}"
            with closing(Store(folder)) as store:
                store.write([record("panic", "db-09", 20 + number, 1, now + 5, SYSRQ, release=release)])
            explain(folder)
            tell(folder, postgres.dsn)
            assert ask(where)[1]["status"]["state"] == ("resolved", "regressed")[number - 1]
        changes = [(one["action"], one["by"], one["note"]) for one in ask(where)[1]["changes"]]
        assert changes[1:] == [("resolve", "bob", ""), ("acknowledge", "ann", "the vendor has it")]
        assert changes[0][0] == "regressed"
        newest = ask("/api/v1/records?limit=1")[1]["records"][0]
        assert newest["regression"] and newest["group_state"] == "regressed"
