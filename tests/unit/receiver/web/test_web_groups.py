# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups are worked on by the page and the API: only who is logged in, and the service writes."""

import contextlib
import json
import socket
import threading
import time
from html import unescape
from urllib.parse import urlencode

import pytest

from panicast_receiver import orders
from panicast_receiver.db import groups, schema
from panicast_receiver.db.reader import Query, Reader
from panicast_receiver.errors import NotFoundError, ReceiverError, UsageError

from ..conftest import PATIENCE_S, wait_until
from .test_web import Markup
from .website import fill, website

TOKEN = "a-token-of-more-than-20-characters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
JSON = {"Content_Type": "application/json", **BEARER}


@pytest.fixture
def state(tmp_path):
    """A filled database, and its token."""
    fill(tmp_path)
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(TOKEN)
    return tmp_path


@pytest.fixture
def office(state):
    """What the service has of its own for this."""
    end = orders.begin(state / schema.FILE_NAME)
    yield state
    end()


@pytest.fixture
def site(office):
    """A page with a token, beside what takes its orders."""
    with website(office, "--web-token-file", str(office / "token"), "--web-base", "/p") as site:
        yield site


def signature(state):
    """The group that most hosts share."""
    with contextlib.closing(Reader(state)) as reader:
        return max(reader.groups(Query()), key=lambda group: group["hosts"])["signature"]


def post(site, path, told, **headers):
    """An answer to JSON."""
    return site.ask(path, "POST", json.dumps(told), **{**JSON, **headers})


def test_by_the_api(site, office):
    path = f"/api/v1/groups/{signature(office)}"
    told = {"action": "resolve", "detail": "6.12.118", "by": "ann", "note": "fixed\nupstream"}
    answer = post(site, path, told)
    group = json.loads(answer.body)
    assert answer.status == 200 and group["status"]["kernels"] == ["6.12.118"]
    (change,) = group["changes"]
    assert (change["by"], change["via"], change["note"]) == ("ann", "API (127.0.0.1)", "fixed\nupstream")
    assert json.loads(site.ask(path, **BEARER).body) == group
    listed = json.loads(site.ask("/api/v1/groups?state=resolved", **BEARER).body)["groups"]
    assert [one["signature"] for one in listed] == [group["signature"]]


@pytest.mark.parametrize(
    ("told", "headers", "status", "words"),
    [
        ({"action": "explode", "by": "ann"}, {}, 400, "there is no action 'explode'"),
        ({"action": "reopen"}, {}, 400, "say who you are"),
        ({"action": "reopen", "by": "ann", "who": "x"}, {}, 400, "there are: action, detail, note, by"),
        ({"action": 5, "by": "ann"}, {}, 400, "send an object of strings"),
        ([], {}, 400, "send an object of strings"),
        ({"action": "reopen", "by": "ann"}, {"Content_Type": "text/plain"}, 415, "send JSON"),
        ({"action": "reopen", "by": "ann"}, {"Sec_Fetch_Site": "cross-site"}, 403, "another site may not"),
        ({"action": "reopen", "by": "ann"}, {"Authorization": "Bearer x"}, 401, "wants a token"),
    ],
)
def test_what_the_api_refuses(site, office, told, headers, status, words):
    answer = post(site, f"/api/v1/groups/{signature(office)}", told, **headers)
    assert answer.status == status and words in json.loads(answer.body)["error"]
    assert json.loads(post(site, "/api/v1/groups/000000000000", told).body)["error"]


def test_a_group_that_is_not_there(site):
    answer = post(site, "/api/v1/groups/000000000000", {"action": "reopen", "by": "ann"})
    assert answer.status == 404 and "there is no group" in json.loads(answer.body)["error"]
    assert site.ask("/groups/000000000000", **BEARER).status == 404


def test_by_the_page(site, office):
    login = site.ask("/login", "POST", urlencode({"token": TOKEN}), **FORM)
    cookie = {"Cookie": f"panicast_session={login.cookies['panicast_session']}"}
    path = f"/groups/{signature(office)}"
    form = {"action": "acknowledge", "detail": "", "note": "<b>mine</b>\r\nsince\x1b[2J", "by": "Zoë"}
    answer = site.ask(path, "POST", urlencode(form), **FORM, **cookie)
    assert (answer.status, answer.headers["location"]) == (303, f"/p{path}")
    cookie["Cookie"] += f"; panicast_name={answer.cookies['panicast_name']}"
    page = site.ask(path, **cookie).text
    shown = Markup(page)
    assert "acknowledged" in shown.text and "<b>mine</b>" in unescape(page) and "<b>" not in page
    assert "\x1b" not in page
    (name,) = [attrs for tag, attrs in shown.elements if attrs.get("name") == "by"]
    assert name["value"] == "Zoë"
    wrong = site.ask(path, "POST", urlencode({**form, "action": "mute"}), **FORM, **cookie)
    assert wrong.status == 400
    assert site.ask(path, "POST", urlencode(form), **FORM).status == 401


def test_without_a_token_nobody_may_change_anything(office):
    with website(office) as site:
        path = f"/groups/{signature(office)}"
        page = site.ask(path).text
        assert '<form class="change"' not in page and "web_token_file" in page
        answer = site.ask(f"/api/v1{path}", "POST", '{"action": "reopen", "by": "ann"}', **JSON)
        assert answer.status == 403 and "web_token_file" in json.loads(answer.body)["error"]


def test_without_the_service_it_says_so(state):
    with website(state, "--web-token-file", str(state / "token")) as site:
        answer = post(site, f"/api/v1/groups/{signature(state)}", {"action": "reopen", "by": "ann"})
        assert answer.status == 503 and "does panicast-receiver.service run?" in answer.text


def order(state, **changes):
    """An order that is right but for the changes."""
    return groups.Order(signature(state), "reopen", "", "", "ann", "test")._replace(**changes)


def test_errors_come_back_as_they_are(office):
    orders.give(office, order(office))
    with pytest.raises(UsageError, match="no action"):
        orders.give(office, order(office, action="explode"))
    with pytest.raises(NotFoundError, match="no group"):
        orders.give(office, order(office, signature="0" * 12))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"5",
        b"[]",
        b"[1,2]",
        b"[[],1]",
        b'["group"]',
        b'["maintenance",1]',
        b"null",
        b"\xff" * 100,
        b"[" * 60000,
        b'{"a":1}',
    ],
)
def test_any_message_harms_nothing(office, message):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock, orders.name_in(office) as name:
        sock.connect(name)
        sock.settimeout(PATIENCE_S)
        with contextlib.suppress(BrokenPipeError):
            sock.send(message)
            assert not message or b"ReceiverError" not in sock.recv(1 << 16)
    orders.give(office, order(office))


@pytest.mark.parametrize("allowed", [True, False])
def test_who_says_nothing_keeps_no_order_waiting(state, monkeypatch, allowed):
    """Whoever is in the group may connect, and read records, but not change anything."""
    monkeypatch.setattr(orders, "_PATIENCE_S", 60.0)
    real = orders._allowed(state)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.callback(orders.begin(state / schema.FILE_NAME))
        name = stack.enter_context(orders.name_in(state))
        office = next(one for one in threading.enumerate() if one.name == "orders")
        office._allowed = real if allowed else frozenset()
        for _ in range(orders._MOST - 1):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            silent.connect(name)
        if not allowed:
            with pytest.raises(ReceiverError, match="you may not change anything here"):
                orders.give(state, order(state))
            office._allowed = real
        orders.give(state, order(state))
        assert time.monotonic() < began + 60


def test_others_may_not_order_anything(state, monkeypatch):
    monkeypatch.setattr(orders, "_allowed", lambda folder: frozenset())
    end = orders.begin(state / schema.FILE_NAME)
    try:
        with pytest.raises(ReceiverError, match="you may not change anything here"):
            orders.give(state, order(state))
    finally:
        end()


def test_a_service_takes_orders(serve, tmp_path, big):
    receiver = serve()
    receiver.send(big["frames"])
    receiver.wait_for("complete")
    state = tmp_path / "state"
    with contextlib.closing(Reader(state)) as reader:
        wait_until(lambda: reader.groups(Query()), "the crash has a name")
    orders.give(state, order(state, action="acknowledge"))
    receiver.wait_for(r"group \w{12}: acknowledge  by ann")
    assert receiver.stop() == 0
    assert not (state / orders.FILE_NAME).exists()
