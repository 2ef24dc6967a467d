# SPDX-License-Identifier: GPL-2.0-or-later
"""Metrics for monitoring (https://prometheus.io/docs/practices/naming): of the database, and of the
service by its own counters (stats.py)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Union

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from .. import stats
from ..db import damage, schema
from ..db.boots import STATES, Ages
from ..db.engine import Place
from ..db.labels import MOST_VALUES
from ..db.reader import Reader
from ..errors import ReceiverError
from ..meaning import SEVERITIES
from ..wire.v1 import Drop

#: Names in stats.py that do not count drops: repeated frames are no loss.
_NO_DROP = {"packets", Drop.DUPLICATE.value}


Values = Union[Mapping[Any, float], float]


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Values) -> Metric:
    for key, value in (values if isinstance(values, Mapping) else {(): values}).items():
        family.add_metric([key] if isinstance(key, str) else key, value)
    return family


def _counter(name: str, text: str, values: Values, label: str = "") -> Metric:
    return _filled(CounterMetricFamily(name, text, labels=[label] if label else []), values)


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def _of_service(counted: stats.Stats) -> Iterator[Metric]:
    packets = counted["packets"]
    dropped = {drop.value: packets.get(drop.value, 0) for drop in Drop if drop.value not in _NO_DROP}
    events = {name: count for name, count in packets.items() if name not in dropped and name not in _NO_DROP}
    sinks = counted["sinks"]
    yield _counter("panicast_packets", "Packets that were captured.", packets.get("packets", 0))
    yield _counter(
        "panicast_packets_duplicate",
        "Packets that brought nothing new: repetitions, and parity of what came whole.",
        packets.get(Drop.DUPLICATE.value, 0),
    )
    yield _counter("panicast_packets_lost", "Packets that the kernel had no room for.", counted["lost"])
    yield _counter("panicast_packets_dropped", "Packets that are not used.", dropped, "reason")
    yield _counter("panicast_events", "What happened to packets and records else.", events, "event")
    yield _counter("panicast_records", "Records handed to the store.", counted["records"], "outcome")
    yield _counter(
        "panicast_tests",
        "Whole test records by whether they were answered; what `confirm` leaves out is not counted.",
        {"answered": 0, **counted.get("tests", {})},
        "outcome",
    )
    yield _counter(
        "panicast_crashes",
        "Crashes by how bad they are; those that are not understood are a group of their own.",
        {name: counted["crashes"].get(name, 0) for name in (*SEVERITIES, "not understood")},
        "severity",
    )
    yield _gauge(
        "panicast_in_flight_records", "Records of which frames are missing yet.", counted["in_flight"]
    )
    yield _gauge("panicast_in_flight_bytes", "Memory that they take.", counted["in_flight_bytes"])
    yield _gauge("panicast_queue_bytes", "What waits for the store.", counted["queue_bytes"])
    for name, text, what in (
        ("panicast_sink_delivered", "Records that a sink was told of.", "delivered"),
        ("panicast_sink_failures", "Tries to tell a sink that failed.", "failed"),
    ):
        yield _counter(name, text, {sink: counts.get(what, 0) for sink, counts in sinks.items()}, "sink")
    failing = {sink: counts.get("failing", 0) for sink, counts in sinks.items()}
    yield _gauge("panicast_sink_failing", "1 while the last try failed.", failing, "sink")


def _of_database(reader: Reader, ages: Ages) -> Iterator[Metric]:
    totals = reader.totals()
    now_ns = time.time_ns()
    states, planned = reader.host_states(ages, now_ns), reader.maintained(ages, now_ns)

    def by_type(what: str, unit: float = 1) -> dict[str, float]:
        return {row["type"]: row[what] / unit for row in totals}

    yield _gauge("panicast_stored_records", "Records in the database.", by_type("records"), "type")
    yield _gauge("panicast_stored_incomplete_records", "Those with gaps.", by_type("incomplete"), "type")
    yield _gauge(
        "panicast_last_record_timestamp_seconds",
        "When the newest record was received.",
        by_type("last_ns", 1e9),
        "type",
    )
    yield _gauge("panicast_crash_groups", "Crashes that are not the same.", reader.group_count())
    yield _gauge("panicast_hosts", "Hosts.", {state: states.get(state, 0) for state in STATES}, "state")
    yield _gauge(
        "panicast_hosts_in_maintenance",
        "Those of them in a maintenance window.",
        {state: planned.get(state, 0) for state in STATES},
        "state",
    )
    yield _gauge(
        "panicast_labelled_hosts",
        f"Hosts by label; names with more than {MOST_VALUES} values are left out.",
        reader.labelled(ages, now_ns),
        *("label", "value", "state"),
    )
    yield _gauge(
        "panicast_sink_backlog_records", "Records that a sink was not told of yet.", reader.backlogs(), "sink"
    )
    yield _gauge("panicast_database_bytes", "Size of the database, its log included.", reader.size())


def _of_folder(state_dir: Path) -> Iterator[Metric]:
    """Yield what is known of the service that fills a folder."""
    set_aside = damage.aside(state_dir / schema.FILE_NAME, damage.DAMAGED)
    yield _gauge("panicast_databases_set_aside", "Damaged databases that wait for `recover`.", len(set_aside))
    counted = stats.read(state_dir)
    yield _gauge("panicast_receiver_up", "1 while the service runs.", float(counted is not None))
    if counted is not None:
        yield from _of_service(counted)


class _Collector:
    def __init__(self, place: Place, ages: Ages, streams: int, deadline: float) -> None:
        self._deadline = deadline
        self._place = place
        self._ages = ages
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        """Return all metrics; those of the database are missing while it cannot be read."""
        if isinstance(self._place, Path):
            yield from _of_folder(self._place)
        yield _gauge("panicast_web_streams", "Browsers and programs that listen for records.", self._streams)
        try:
            reader = Reader(self._place)
        except ReceiverError:
            yield _gauge("panicast_database_up", "1 while the database can be read.", 0)
            return
        try:
            reader.until(self._deadline)
            yield _gauge("panicast_database_up", "1 while the database can be read.", 1)
            yield from _of_database(reader, self._ages)
        finally:
            reader.close()


def render(place: Place, ages: Ages, streams: int, deadline: float) -> bytes:
    """Return the page /metrics. It takes a while, because it counts in the database. Raises
    ReceiverError, also if it is not done before the ``deadline``."""
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Collector(place, ages, streams, deadline))
    return generate_latest(registry)
