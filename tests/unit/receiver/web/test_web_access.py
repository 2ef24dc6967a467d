# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may read the page: token, session, names, and where it refuses to listen."""

import json
import socket
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver.web.access import COOKIE, KNOWN_COOKIE, Access, bearer, inside
from panicast_receiver.web.sessions import LASTS_S, Sessions
from panicast_receiver.web.tokens import Grant, Tokens
from panicast_receiver.web.tries import Tries, whose

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
    assert page.status == 200 and "Log out" in page.text
    other = guarded.ask("/login", "POST", f"token={TOKEN}", **form).headers["set-cookie"].partition(";")[0]
    forgotten = guarded.ask("/logout", "POST", "", Cookie=session)
    assert forgotten.status == 303 and "Max-Age=0" in forgotten.headers["set-cookie"]
    # Whoever has kept the cookie has nothing any more, but for him alone.
    assert guarded.ask("/", Cookie=session).status == 303 and guarded.ask("/", Cookie=other).status == 200


@pytest.mark.parametrize(
    "to",
    [
        "https://elsewhere.example/",
        "//elsewhere.example",
        "/\\elsewhere.example",
        "\\/elsewhere.example",
        "/\t/elsewhere.example",
        "/\n/elsewhere.example",
        "/\r\nSet-Cookie: a=b",
        "/\0/elsewhere.example",
        " //elsewhere.example",
        "\t//elsewhere.example",
        "/ /elsewhere.example",
        "/\u2028/elsewhere.example",
        "javascript:alert(1)",
        "elsewhere.example",
        "",
    ],
)
def test_a_login_leads_nowhere_else(guarded, to):
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = guarded.ask("/login", "POST", urlencode({"token": TOKEN, "to": to}), **form)
    assert answer.status == 303 and answer.headers["location"] == "/p/"


@given(st.text(alphabet="/\\\t\n\r .:?#@%2fax\0\u3002"))
def test_where_a_login_leads_is_on_this_host(to):
    """As browsers read it: control characters away, backslashes as slashes."""
    location = inside(to)
    read = location.replace("\\", "/").translate({code: None for code in range(0x20)})
    assert read.startswith("/") and not read.startswith("//") and not urlsplit(read).netloc


def test_a_login_leads_back_to_what_was_asked_for(guarded):
    asked = "/?host=a%26b&search=%C3%BC%20x"
    to = guarded.ask(asked).headers["location"].partition("to=")[2]
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = guarded.ask("/login", "POST", f"token={TOKEN}&to={to}", **form)
    assert answer.headers["location"] == "/p" + asked


def test_who_is_wrong_too_often_waits_and_nobody_else_does(state, token_file):
    """Through a proxy of this machine, which says who asks; by the form and by the header."""
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    with website(state, "--web-token-file", str(token_file), "--web-proxy") as site:

        def login(address, token, **headers):
            return site.ask(
                "/login", "POST", f"token={token}", X_Forwarded_For=f"10.9.9.9, {address}", **form, **headers
            )

        operator = login("10.0.0.1", TOKEN)
        session, known = (f"{name}={operator.cookies[name]}" for name in (COOKIE, KNOWN_COOKIE))
        assert [login("10.0.0.2", "wrong").status for _ in range(12)] == [401] * 10 + [429] * 2
        refused = login("10.0.0.2", TOKEN)
        assert refused.status == 429 and 1 <= int(refused.headers["retry-after"]) <= 6
        bearer = {"Authorization": "Bearer wrong", "X_Forwarded_For": "10.0.0.3"}
        assert [site.ask("/metrics", **bearer).status for _ in range(12)] == [401] * 10 + [429] * 2
        # Not the operator, even from where somebody guesses; and not who comes from elsewhere.
        assert site.ask("/", Cookie=session, X_Forwarded_For="10.0.0.2").status == 200
        assert login("10.0.0.2", TOKEN, Cookie=known).status == 303
        assert login("10.0.0.4", TOKEN).status == 303
        # Nor a program that was right before, where others guess from its address.
        program = {"Authorization": f"Bearer {TOKEN}", "X_Forwarded_For": "10.0.0.5"}
        assert site.ask("/metrics", **program).status == 200
        assert [login("10.0.0.5", "wrong").status for _ in range(12)] == [401] * 10 + [429] * 2
        assert site.ask("/metrics", **program).status == 200
        assert site.ask("/metrics", Authorization=f"Bearer {TOKEN}").status == 200


def test_what_anybody_may_see_does_not_tell_whether_a_token_is_right(guarded):
    """Nobody counts how often it is asked for."""
    for path in ("/login", "/healthz", "/static/style.css"):
        right, wrong = (guarded.ask(path, Authorization=f"Bearer {token}") for token in (TOKEN, "x" * 20))
        assert (right.status, right.text) == (wrong.status, wrong.text)


def test_a_form_that_is_too_long_is_not_read(guarded):
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert guarded.ask("/login", "POST", "token=" + "x" * 40000, **form).status == 413


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--web-listen", "0.0.0.0:0"], 2, "lets other machines read all records without a token"),
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
    access = Access(Tokens(TOKEN, None))
    assert access.of_token(bearer(authorization)) is None and access.of_session(cookie) is None
    assert access.of_token(bearer(f"Bearer {authorization}")) is None
    session = access.begin(TOKEN)
    assert access.of_token(bearer(f"Bearer {TOKEN}")) == access.of_session(session) == Grant("", "operate")
    assert Access(Tokens(TOKEN, None)).of_session(session) is None
    access.sessions.end(session)
    assert access.of_session(session) is None


def test_sessions_end_by_themselves_and_are_bounded():
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    first, *others = [sessions.begin("t") for _ in range(4097)]
    assert sessions.began(first) is None and all(sessions.began(one) == "t" for one in others)
    now[0] = LASTS_S + 1.0
    assert not any(map(sessions.began, others))


def test_who_begins_many_sessions_ends_own_ones():
    """A reader could end the sessions of all others."""
    sessions = Sessions()
    other = sessions.begin("an operator's token")
    first = sessions.begin("a reader's token")
    for _ in range(4096):
        sessions.begin("a reader's token")
    assert sessions.began(other) and not sessions.began(first)


def test_another_site_logs_nobody_in(guarded):
    """Whose work would be done under another's name from then on."""
    form, kind = urlencode({"token": TOKEN}), {"Content_Type": "application/x-www-form-urlencoded"}
    answer = guarded.ask("/login", "POST", form, **kind, Sec_Fetch_Site="cross-site")
    assert answer.status == 403 and not answer.cookies
    assert guarded.ask("/login", "POST", form, **kind, Sec_Fetch_Site="same-origin").status == 303


def test_many_addresses_together_are_limited_but_not_who_was_right_before():
    now = [0.0]
    tries = Tries(lambda: now[0])
    tries.right("operator")
    for number in range(5000):
        if not tries.wait_s(who := f"10.{number // 250}.{number % 250}.1"):
            tries.wrong(who)
    assert tries.wait_s("10.99.0.1") > 0 and tries.wait_s("operator") == 0
    now[0] += 2
    assert tries.wait_s("10.99.0.1") == 0
    for _ in range(10):
        tries.wrong("operator")
    assert 0 < tries.wait_s("operator") <= 6
    now[0] += 60
    assert tries.wait_s("operator") == 0


def test_without_a_proxy_nobody_says_himself_who_he_is(state, token_file):
    with website(state, "--web-token-file", str(token_file)) as site:
        told = [
            site.ask("/metrics", Authorization="Bearer wrong", X_Forwarded_For=f"10.0.0.{number}").status
            for number in range(12)
        ]
    assert told == [401] * 10 + [429] * 2


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.1"),
        ("127.0.0.1", "6.6.6.6, 10.0.0.2", "10.0.0.2"),
        ("::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "", "10.0.0.1"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("", "", "nobody"),
    ],
)
def test_who_is_counted(peer, forwarded, who):
    assert whose(peer, forwarded) == who
