# SPDX-License-Identifier: GPL-2.0-or-later
"""The JSON API against its own document, events as they come, and metrics against what asks for them."""

import contextlib
import itertools
import json
import re
import time
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from schemathesis import GenerationMode

from panicast_receiver import stats
from panicast_receiver.db.store import Store
from panicast_receiver.errors import UsageError
from panicast_receiver.web import parameters
from panicast_receiver.wire.v1 import encode

from ..conftest import PATIENCE_S, wait_until
from .website import fill, website

DIST = Path(__file__).parents[4] / "receiver/dist"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page on a filled database."""
    state = tmp_path_factory.mktemp("state")
    fill(state)
    with website(state, "--web-base", "/p") as site:
        yield site


@pytest.fixture(scope="module")
def document(site):
    """Its document, streams aside: schemathesis waits for the end of an answer."""
    loaded = schemathesis.openapi.from_url(f"{site.url}openapi.json")
    return loaded.exclude(path="/api/v1/events")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_the_api_does_what_its_document_says(document, mode):
    """Right requests and wrong ones: the status, type and shape of each answer are what was promised."""
    tried = []
    for operation in (found.ok() for found in document.get_all_operations()):

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
        def check(case):
            case.call_and_validate()

        check()
        tried.append(operation.path)
    assert len(tried) == 11, tried


def ask(site, path, **headers):
    """An answer in JSON that is good."""
    answer = site.ask(f"/api/v1/{path}", **headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    return json.loads(answer.body)


def test_the_same_objects_as_the_commands_print(site, cli, tmp_path_factory):
    state = next(Path(arg) for arg in site.process.args if "/" in arg and Path(arg, "panicast.db").exists())

    def printed(*argv):
        return json.loads(cli(*argv, "--json", state_dir=state).stdout)

    listed = ask(site, "records")
    assert listed == {"records": printed("list")[::-1], "next": None}
    assert ask(site, "records?all=true&limit=1000")["records"] == printed("list", "--all")[::-1]
    assert ask(site, "records?search=mlx")["records"] == printed("list", "--search", "MLX")
    assert ask(site, "groups") == {"groups": printed("groups")[::-1]}
    assert ask(site, "hosts") == {"hosts": printed("hosts")}
    assert ask(site, "hosts?state=silent") == {"hosts": printed("hosts", "--state", "silent")}
    for record in listed["records"][:3]:
        assert ask(site, f"records/{record['id']}") == printed("show", record["id"])
        text = site.ask(f"/api/v1/records/{record['id']}/text")
        assert text.body == cli("show", record["id"], "--raw", state_dir=state, text=False).stdout
        assert re.fullmatch(r'attachment; filename="[\w.-]+"', text.headers["content-disposition"])


def test_going_on_in_the_list(site):
    seen, place = [], ""
    while place is not None:
        part = ask(site, f"records?limit=4{place and '&before='}{place}")
        seen += [record["id"] for record in part["records"]]
        place = part["next"]
    assert seen == [record["id"] for record in ask(site, "records")["records"]] and len(set(seen)) == 6


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("records?limit=0", 400, "limit: '0' is not a whole number from 1 to 1000"),
        ("records?all=yes", 400, "all: 'yes' is not one of true, false"),
        ("records?before=1-1", 400, "is not a value that `next` returned"),
        (
            "groups?type=panic",
            400,
            "there is no parameter 'type'; there are: group, host, since, search, state, sort, limit",
        ),
        ("records/000000000000", 404, "no record has an id"),
        ("records/000000000000/text?raw=1", 400, "there are: none"),
        ("nothing", 404, ""),
        ("events?type=blue", 400, "is not one of"),
    ],
)
def test_errors_are_json(site, path, status, words):
    answer = site.ask(f"/api/v1/{path}")
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json; charset=utf-8")
    assert words in json.loads(answer.body)["error"]


KNOWN = (*parameters.FILTERS, parameters.LIMIT, parameters.BEFORE)
#: What is right at the bounds of each.
NUMBERS = st.integers(0, (1 << 63) - 1)
RIGHT = {
    "since": st.builds("{}{}".format, st.integers(0, 999_999_999), st.sampled_from("smhdw")),
    "limit": st.integers(1, parameters.MOST).map(str),
    "before": st.builds(str, NUMBERS),
    "group": st.text("0123456789abcdef", min_size=1, max_size=12),
    "all": st.sampled_from(["true", "false"]),
}


@given(st.fixed_dictionaries({}, optional=RIGHT))
def test_right_parameters_are_what_is_asked_for(pairs):
    query = parameters.query_of(parameters.parse(pairs.items(), KNOWN))
    assert 0 <= (query.since_ns or 0) < 1 << 63 and ("since" in pairs) == (query.since_ns is not None)
    assert query.limit == int(pairs.get("limit", parameters.FEW))
    assert query.group == pairs.get("group") and query.everything == (pairs.get("all") == "true")
    assert query.before == (int(pairs["before"]) if "before" in pairs else None)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("limit", text) for text in ("0", "1001", "-1", "1.0", "", "\u0661")),
        *(("since", text) for text in ("", "1", "1y", "-1h", "9" * 10 + "w")),
        *(("before", text) for text in ("1-", "-1", "1-2", "x", "9" * 20)),
        *(("group", text) for text in ("", "x", "A", "a" * 13)),
        *[("all", "yes"), ("host", "h" * 256), ("host", "\udcff"), ("x", "1")],
    ],
)
def test_wrong_parameters_are_named(name, text):
    with pytest.raises(UsageError, match=name):
        parameters.parse([(name, text)], KNOWN)


@given(st.lists(st.tuples(st.sampled_from([*RIGHT, "x"]), st.text()), min_size=1))
def test_any_parameters_are_right_or_explained(pairs):
    try:
        parameters.query_of(parameters.parse(pairs, KNOWN))
    except UsageError as error:
        assert any(name in str(error) for name, _ in pairs)


@contextlib.contextmanager
def listening(site, query="", **headers):
    """The lines of a stream of events as they come."""
    connection = site.connect()
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"{site.base}/api/v1/events{query}", headers=sent)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream"
        yield answer
    finally:
        connection.close()


def next_event(answer):
    """The fields of the next event that has data."""
    fields = {}
    while line := answer.readline().decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if not name and "data" in fields:
            return {**fields, "data": json.loads(fields["data"])}
        fields = {**fields, name: value} if name else {}
    raise AssertionError("the stream has ended")


def next_understood(answer):
    """The next of a record of which is known what it means; on a slow machine one without comes before."""
    while (event := next_event(answer))["data"]["meaning"] != "found":
        pass
    return event


def test_events_come_live_and_after_an_interruption(serve, cli, big, tmp_path):
    receiver = serve()

    def panic(number):
        receiver.send([frame[:24] + number.to_bytes(4, "big") + frame[28:] for frame in big["frames"]])

    with website(tmp_path / "state") as site:
        with listening(site) as stream, listening(site, "?type=test") as other:
            panic(1)
            first = next_understood(stream)
            assert (
                first["event"] == "record"
                and first["data"]["crash"]["title"] == "panic: sysrq triggered crash"
            )
            assert cli("drill", "--listen", f"127.0.0.1:{receiver.port}").returncode == 0
            # What is understood late may be told twice.
            while (reason := next_understood(stream)["data"]["reason"]) != "drill":
                assert reason == first["data"]["reason"]
            assert next_understood(other)["data"]["reason"] == "drill"
        panic(2)
        panic(3)
        wanted, told = {("test", 1), ("panic", 2), ("panic", 3)}, set()
        with listening(site, Last_Event_ID=first["id"]) as stream:
            # Whose meaning comes late comes when it has one.
            while not wanted <= told:
                event = next_understood(stream)["data"]
                told.add((event["type"], event["event"]))
        assert told - wanted <= {("panic", 1)}
        assert site.ask("/api/v1/events", Last_Event_ID="x").status == 400
        # Whoever went is not counted any more.
        numbers = itertools.count(4)

        def forgotten():
            panic(next(numbers))
            return metrics(site)["panicast_web_streams"] == {(): 0}

        wait_until(forgotten)
        with listening(site) as stream:
            site.process.terminate()
            while stream.readline():
                pass
        assert site.process.wait(PATIENCE_S) == 0


def metrics(site):
    """{name: {labels: value}} of the page /metrics."""
    answer = site.ask("/metrics")
    assert answer.status == 200, answer.text
    found = {}
    for family in text_string_to_metric_families(answer.text):
        # What has no value yet is there too.
        found.setdefault(family.name + ("_total" if family.type == "counter" else ""), {})
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_metrics_tell_of_database_and_service(serve, big, tmp_path):
    receiver = serve("--hook", "/bin/false")
    with website(tmp_path / "state") as site:
        receiver.send([*big["frames"], big["frames"][0], b"x" * 80])
        receiver.wait_for("record ([0-9a-f]{12}) panic")
        receiver.wait_for("hook: ")

        def told_of_all():
            told = metrics(site)
            counted = told["panicast_packets_total"] == {(): len(big["frames"]) + 2}
            understood = told["panicast_crash_groups"] == {(): 1}
            return told if counted and understood and told["panicast_sink_failing"].get(("hook",)) else None

        told = wait_until(told_of_all, "all is counted")
        assert told["panicast_receiver_up"] == told["panicast_database_up"] == {(): 1}
        assert told["panicast_packets_duplicate_total"] == {(): 1}
        assert told["panicast_packets_dropped_total"][("wrong magic",)] == 1
        assert told["panicast_records_total"][("new",)] == 1
        assert told["panicast_stored_records"] == {("panic",): 1}
        assert told["panicast_hosts"][("panicked",)] == 1
        assert told["panicast_crashes_total"][("high",)] + told["panicast_crashes_total"][("low",)] == 1
        assert told["panicast_crashes_total"][("not understood",)] == 0
        assert told["panicast_sink_failures_total"][("hook",)] >= 1
        assert told["panicast_sink_backlog_records"] == {("hook",): 1}
        assert time.time() - told["panicast_last_record_timestamp_seconds"][("panic",)] < PATIENCE_S
        assert told["panicast_database_bytes"][()] > 4096

        # Another record of its boot and event.
        receiver.send(encode("test", bytes.fromhex(big["boot_id"]), big["event"], 1, "forged", b"", b"x"))
        wait_until(
            lambda: metrics(site)["panicast_records_total"].get(("contested",)) == 1, "a contest is counted"
        )
        (tmp_path / "state" / "panicast.db.damaged-20260101T000000.000000Z").touch()
        assert told["panicast_databases_set_aside"] == {(): 0}
        assert metrics(site)["panicast_databases_set_aside"] == {(): 1}

        asked = set()
        for name in ("grafana-dashboard.json", "prometheus-rules.yml"):
            asked |= set(re.findall(r"\bpanicast_\w+", (DIST / name).read_text()))
        assert len(asked) > 15 and asked - set(told) == set()
        receiver.stop()
        assert metrics(site)["panicast_receiver_up"] == {(): 0}


def test_the_dashboard_is_one(site):
    dashboard = json.loads((DIST / "grafana-dashboard.json").read_text())
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = {
        (x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])
    }
    assert len(cells) == sum(place["w"] * place["h"] for place in places)
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)
    for panel in dashboard["panels"]:
        assert panel["title"] and panel["targets"] and panel["datasource"]["uid"] == "${datasource}"


def test_counts_of_a_service_that_is_gone_are_not_shown(tmp_path):
    assert stats.read(tmp_path) is None
    counted = {"written": time.time()}
    stats.write(tmp_path, counted)
    assert stats.read(tmp_path) == counted
    stats.write(tmp_path, {"written": time.time() - stats.STALE_S - 1})
    assert stats.read(tmp_path) is None
    (tmp_path / stats.FILE_NAME).write_text("{")
    assert stats.read(tmp_path) is None
    stats.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []
    stats.write(tmp_path / "nowhere", counted)


def test_a_parameter_that_is_given_twice_is_named():
    with pytest.raises(UsageError, match="limit is given twice"):
        parameters.parse([("limit", "1"), ("limit", "2")], KNOWN)


def test_a_stream_begins_now_after_an_event_of_another_database(tmp_path):
    """Whose numbers were higher: the file was replaced since."""
    Store(tmp_path).close()
    with website(tmp_path) as site, listening(site, Last_Event_ID="9" * 18) as stream:
        assert [stream.readline(), stream.readline()] == [b"retry: 3000\n", b"id: 0\n"]
