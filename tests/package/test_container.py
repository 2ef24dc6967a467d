# SPDX-License-Identifier: GPL-2.0-or-later
"""A throw-away container gives back all that a command said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import docker
import pytest
from urllib3.connection import HTTPConnection
from urllib3.response import HTTPResponse

from panicast_build.engine.container import PROCESSES, Container
from panicast_build.targets.distros import DebDistro

# In linux/capability.h: chown, dac_override, fowner, fsetid, kill, setgid, setuid, sys_chroot, setfcap.
ALLOWED = (0, 1, 3, 4, 5, 6, 7, 18, 31)


@pytest.fixture
def box(
    client: docker.DockerClient, first_distro: DebDistro, test_image: Callable[[DebDistro], str]
) -> Iterator[Container]:
    with Container(client, test_image(first_distro)) as box:
        yield box


def test_output_that_comes_with_the_answer_to_its_start(
    box: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does where other work keeps us from reading the answer at once."""
    answer = HTTPConnection.getresponse

    def late(connection: HTTPConnection) -> HTTPResponse:
        time.sleep(1)
        return answer(connection)

    monkeypatch.setattr(HTTPConnection, "getresponse", late)
    result = box.run(["sh", "-c", "echo one; sleep 2; echo two >&2; exit 3"], check=False)
    assert (result.code, result.output) == (3, "one\ntwo\n")


def test_root_of_it_may_do_what_package_managers_need_and_no_more(box: Container) -> None:
    status = dict(line.split(":", 1) for line in box.run(["cat", "/proc/self/status"]).output.splitlines())
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == sum(1 << bit for bit in ALLOWED)
    assert status["NoNewPrivs"].strip() == "1"
    refused = box.run(["mknod", "/tmp/null", "c", "1", "3"], check=False)
    assert refused.code and "not permitted" in refused.output
    assert box._client.api.inspect_container(str(box._container.id))["HostConfig"]["PidsLimit"] == PROCESSES


def test_output_in_many_pieces(box: Container) -> None:
    umlauts = box.run(["sh", "-c", "yes xää | head -n 100000"])
    assert umlauts.output == "xää\n" * 100000
