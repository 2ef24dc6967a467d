# SPDX-License-Identifier: GPL-2.0-or-later
"""What people decide about groups, hosts and maintenance windows, and the lists of records, on the central
store: the tests that SQLite passes, see tests/unit/receiver/db/conftest.py. A receiver's folder is what the
store is told of."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from panicast_receiver.central.engine import Central
from panicast_receiver.sinks.postgresql import PostgreSQL

from ..unit.receiver.db import test_fleet, test_groups, test_listing, test_maintenance
from ..waiting import held_port
from .conftest import Postgres
from .test_central_hosts import tell

#: Tests, and the fixtures that they use, by where they are.
BOTH = {
    test_fleet: (
        "keep",
        "test_hosts_through_their_lives",
        "test_hosts_come_in_any_order",
        "test_a_host_that_is_gone_is_retired_until_it_is_heard_again",
        "test_a_host_that_is_not_heard_for_days_is_retired",
        "test_retire_on_the_command_line",
        "test_interfaces_add_up_and_an_oops_is_no_panic",
        "test_what_is_burning",
    ),
    test_groups: (
        "store",
        "test_each_change_is_kept_with_who_when_and_what",
        "test_who_has_a_token_that_leaked_does_not_fill_the_disk",
        "test_a_group_says_how_its_records_differ",
        "test_a_mute_ends_by_itself",
        "test_groups_are_found_by_their_state",
        "test_groups_come_in_any_order",
        "test_it_opens_again_on_a_kernel_with_the_fix_and_on_no_older_one",
        "test_it_opens_again_after_a_date",
        "test_a_record_that_is_not_believed_opens_nothing",
        "test_a_wrong_order_says_what_is_right",
        "test_there_is_no_such_group",
        "test_a_group_is_changed_by_the_command",
    ),
    test_listing: (
        "three",
        "test_records_are_listed",
        "test_one_at_a_time_and_all_of_one_moment",
        "test_records_are_written_to_files",
        "test_records_are_followed",
    ),
    test_maintenance: (
        "state",
        "test_hosts_are_in_it_by_name_and_label",
        "test_it_has_a_beginning_and_an_end",
        "test_each_window_says_who_started_and_ended_it",
        "test_one_that_is_ended_before_it_begins_never_was",
        "test_what_is_wrong_is_said",
        "test_there_are_not_too_many_and_old_ones_go",
        "test_windows_are_changed_by_the_command",
    ),
}
globals().update({name: getattr(module, name) for module, names in BOTH.items() for name in names})


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One PostgreSQL for all tests."""
    folder = Path(tempfile.mkdtemp(prefix="panicast-servers-"))
    folder.chmod(0o755)
    (folder / "postgres").mkdir()
    with held_port() as port, contextlib.closing(Postgres(folder / "postgres", port)) as running:
        running.start()
        running.ask("CREATE DATABASE panicast", "postgres")
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def place(server: Postgres) -> Central:
    """A central store of which nothing is known yet."""
    server.ask("DROP SCHEMA IF EXISTS panicast CASCADE")
    PostgreSQL(server.dsn).hear([])
    return Central(server.dsn)


@pytest.fixture
def passed(tmp_path: Path, place: Central, server: Postgres) -> Callable[[], None]:
    """Called when a receiver has something to tell."""
    return lambda: tell(tmp_path, server.dsn)


@pytest.fixture
def at(server: Postgres) -> list[str]:
    """What names the store to a command."""
    return ["--postgresql", server.dsn]
