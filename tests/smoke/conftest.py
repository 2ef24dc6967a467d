# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that wait most of their time: those of all such tests of a run live beside each other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import docker
import pytest

from panicast_build.crash.many import GUESTS


@pytest.fixture(scope="session")
def lives(client: docker.DockerClient, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Any]]]:
    """What becomes of the guests of each test that is marked `lives.with_args(FUNCTION)`, by the test's
    name. All start when the first one asks."""
    marked = {item.nodeid: item.get_closest_marker("lives") for item in request.session.items}
    with ThreadPoolExecutor(GUESTS) as pool:
        yield {name: pool.submit(mark.args[0], client) for name, mark in marked.items() if mark}
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def lived(lives: dict[str, Future[Any]], request: pytest.FixtureRequest) -> Any:
    """What the test's FUNCTION returned, to which the container engine's client was given."""
    return lives[request.node.nodeid].result()
