# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may read the page: token, session, names, and where it refuses to listen."""

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.web.access import COOKIE, Access

from .website import fill, website

TOKEN = "a-token-of-more-than-20-characters"
CLOSED = ("/", "/groups", "/hosts", "/metrics", "/openapi.json", "/api/v1/records", "/api/v1/events")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """The folder of a filled database."""
    folder = tmp_path_factory.mktemp("state")
    fill(folder)
    return folder


@pytest.fixture
def token_file(tmp_path):
    """A file with a token as it should be."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def guarded(state, tmp_path_factory):
    """A page that wants a token, below a path."""
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    with website(state, "--web-token-file", str(path), "--web-base", "/p") as site:
        yield site


def test_without_the_token_nothing_is_told(guarded):
    for path in CLOSED:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"{COOKIE}={TOKEN}"}):
            answer = guarded.ask(path, **headers)
            assert b"example.net" not in answer.body and b"panicast_" not in answer.body
            if path in ("/", "/groups", "/hosts"):
                assert (answer.status, answer.headers["location"][:12]) == (303, "/p/login?to=")
            else:
                assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="panicast"')
    assert guarded.ask("/healthz").text == "ok\n"
    assert guarded.ask("/static/style.css").headers["content-type"] == "text/css"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../api/v1/records",
        "/static/%2e%2e/api/v1/records",
        "/static/..%2fapi%2fv1%2frecords",
        "/healthz/../api/v1/records",
        "/login/../api/v1/records",
        "//api/v1/records",
        "/api/v1/records/",
        "/api/v1/records?/healthz",
        "/API/v1/records",
    ],
)
def test_no_path_leads_around_the_token(guarded, path):
    answer = guarded.ask(path)
    assert answer.status in (303, 401, 404) and b"example.net" not in answer.body


def test_programs_show_the_token(guarded):
    for path in CLOSED[:-1]:
        assert guarded.ask(path, Authorization=f"Bearer {TOKEN}").status == 200
    document = json.loads(guarded.ask("/openapi.json", Authorization=f"bearer {TOKEN}").body)
    assert document["security"] == [{"token": []}] and document["servers"] == [{"url": "/p"}]


def test_browsers_say_it_once(guarded):
    to = guarded.ask("/?host=web-01").headers["location"].partition("to=")[2]
    assert "web-01" not in guarded.ask(f"/login?to={to}").headers.get("location", "")
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    wrong = guarded.ask("/login", "POST", f"token=wrong&to={to}", **form)
    assert wrong.status == 401 and "That is not the token" in wrong.text and "set-cookie" not in wrong.headers
    right = guarded.ask("/login", "POST", f"token={TOKEN}&to={to}", **form)
    assert (right.status, right.headers["location"]) == (303, "/p/?host=web-01")
    cookie = right.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=Strict", "Path=/p"):
        assert word in cookie
    assert TOKEN not in cookie and "Secure" not in cookie
    secure = guarded.ask("/login", "POST", f"token={TOKEN}", X_Forwarded_Proto="https", **form)
    assert "Secure" in secure.headers["set-cookie"]
    session = cookie.partition(";")[0]
    page = guarded.ask("/", Cookie=session)
    assert page.status == 200 and "Forget the token" in page.text
    forgotten = guarded.ask("/logout", "POST", "", Cookie=session)
    assert forgotten.status == 303 and "Max-Age=0" in forgotten.headers["set-cookie"]


@pytest.mark.parametrize(
    "to", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", ""]
)
def test_a_login_leads_nowhere_else(guarded, to):
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = guarded.ask("/login", "POST", f"token={TOKEN}&to={to}", **form)
    assert answer.headers["location"] == "/p/"


def test_a_form_that_is_too_long_is_not_read(guarded):
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert guarded.ask("/login", "POST", "token=" + "x" * 5000, **form).status == 413


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--web-listen", "0.0.0.0:0"], 2, "lets other machines read all records, and no token is asked for"),
        (["--web-listen", "[::]:0"], 2, "web_token_file"),
        (["--web-listen", "203.0.113.9:0"], 2, "openssl rand"),
        (["--web-listen", "localhost:0"], 2, "right is ADDR:PORT"),
        (["--web-base", "panicast/"], 2, "--web-base"),
        (["--web-token-file", "/nonexistent/token"], 1, "cannot read the token in /nonexistent/token"),
    ],
)
def test_what_is_refused_at_the_start(cli, state, flags, code, words):
    done = cli("web", *flags, state_dir=state)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert words in done.stderr


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (TOKEN, 0o640, "chmod 600"),
        (TOKEN, 0o604, "chmod 600"),
        ("short", 0o600, "at least 20 characters"),
        ("", 0o600, "at least 20 characters"),
        (f"{TOKEN} {TOKEN}", 0o600, "not a word"),
        ("ü" * 30, 0o600, "characters of ASCII"),
    ],
)
def test_token_files_that_are_refused(cli, state, token_file, text, mode, words):
    token_file.write_text(text)
    token_file.chmod(mode)
    done = cli("web", "--web-token-file", str(token_file), state_dir=state)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr


def test_with_a_token_it_listens_beyond_this_machine(state, token_file):
    with website(state, "--web-listen", "0.0.0.0:0", "--web-token-file", str(token_file)) as site:
        assert site.ask("/api/v1/hosts").status == 401


def test_a_port_that_is_taken(cli, state):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = cli("web", "--web-listen", address, state_dir=state)
    assert done.returncode == 1 and f"cannot listen on {address}" in done.stderr
    assert "Traceback" not in done.stderr


def test_foreign_names_are_refused_where_there_is_no_token(state):
    with website(state, "--web-names", "logs.example.net, other") as site:
        for name in ("elsewhere.example", "elsewhere.example:6680", "127.0.0.1.elsewhere.example", ""):
            answer = site.ask("/", Host=name)
            assert answer.status == 421 and "web_names" in answer.text and "example.net" not in answer.text
        for name in ("localhost:1", "127.0.0.1", "[::1]:6680", "LOGS.example.net", "other:80"):
            assert site.ask("/api/v1/records", Host=name).status == 200


@given(*[st.binary().map(lambda header: header.decode("utf-8", "surrogateescape"))] * 2)
def test_only_the_token_and_its_session_open(authorization, cookie):
    access = Access(TOKEN)
    assert not access.may_read(authorization, cookie)
    assert not access.may_read(f"Bearer {authorization}", cookie)
    assert access.may_read(f"Bearer {TOKEN}", "") and access.may_read("", access.session)
    assert access.session != Access(TOKEN + "x").session
