# SPDX-License-Identifier: GPL-2.0-or-later
"""health tells whether the service and the page work."""

import json
import time

import pytest

from panicast_receiver import stats
from panicast_receiver.cli import health
from panicast_receiver.errors import ReceiverError
from panicast_receiver.settings import load

from ..conftest import held_port, wait_until
from ..web.website import website


def asked(what, **flags):
    """Its exit code, or what is wrong."""
    try:
        return health.run(load(flags, "/dev/null"), what)
    except ReceiverError as error:
        return str(error)


def test_the_service(serve, tmp_path):
    state = {"state_dir": str(tmp_path / "state")}
    assert "no service has written" in asked("serve", **state)
    receiver = serve()
    wait_until(lambda: asked("serve", **state) == 0)
    receiver.stop()
    assert "no service has written" in asked("serve", **state)


def test_a_service_that_hangs(tmp_path):
    """It runs and writes no counters any more."""
    for age_s, found in ((stats.STALE_S / 2, 0), (stats.STALE_S * 2, "no service has written")):
        (tmp_path / stats.FILE_NAME).write_text(json.dumps({"written": time.time() - age_s}))
        answer = asked("serve", state_dir=str(tmp_path))
        assert answer == found or str(found) in str(answer)


@pytest.mark.parametrize("base", ["", "/panicast"])
def test_the_page(serve, tmp_path, base):
    with website(tmp_path / "state", "--web-base", base) as site:
        # The page listens there; its container asks by the address that stands for all.
        where = {"web_listen": f"0.0.0.0:{site.connect().port}", "web_base": base}
        assert "the page answers 503" in asked("web", **where)
        serve()
        assert asked("web", **where) == 0


def test_no_page():
    with held_port() as port:
        assert "the page does not answer" in asked("web", web_listen=f"127.0.0.1:{port}")
