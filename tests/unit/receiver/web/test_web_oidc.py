# SPDX-License-Identifier: GPL-2.0-or-later
"""People log in at a provider of OpenID Connect, a real one on the loopback; and what a wrong one may say."""

import asyncio
import base64
import contextlib
import http.client
import json
import socket
import threading
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import oidc_provider_mock
import pytest

from panicast_receiver import orders
from panicast_receiver.db import schema
from panicast_receiver.errors import ReceiverError
from panicast_receiver.settings.web import parse_people
from panicast_receiver.web.oidc import LOGIN_S, Oidc, Wrong
from panicast_receiver.web.provider import Provider
from panicast_receiver.web.tokens import Grant

from .test_web_groups import FORM, signature
from .website import fill, website

#: The provider's own.
pytestmark = pytest.mark.filterwarnings("ignore:.*get_jwt_config:DeprecationWarning")
PEOPLE = {
    "ann": {"preferred_username": "ann", "email": "ann@ops.example.org", "email_verified": True},
    "bob": {"preferred_username": "bob", "groups": ["sre"]},
    "eve": {"preferred_username": "eve", "email": "ann@ops.example.org", "email_verified": False},
}


@pytest.fixture(scope="module")
def issuer():
    """The address of a provider that knows PEOPLE."""
    people = [oidc_provider_mock.User(sub=name, claims=claims) for name, claims in PEOPLE.items()]
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=people) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def site(issuer, tmp_path):
    """A page whose readers are sre, and whose operators are at ops.example.org."""
    fill(tmp_path)
    client = tmp_path / "client"
    client.touch(0o600)
    client.write_text("panicast:a-secret\n")
    end = orders.begin(tmp_path / schema.FILE_NAME)
    flags = ("--web-oidc", issuer, "--web-oidc-client", str(client), "--web-base", "/p")
    with website(
        tmp_path, *flags, "--web-readers", "group:sre", "--web-operators", "mail:*@ops.example.org"
    ) as page:
        page.state = tmp_path
        yield page
    end()


def follow(url, method="GET", form=None):
    """The status and headers of an answer of another server."""
    parts = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(parts.hostname, parts.port)) as connection:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        connection.request(method, f"{parts.path}?{parts.query}", form and urlencode(form), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers


def login(site, who, to="/groups"):
    """As a browser does: the page's last answer."""
    left = site.ask(f"/login/provider?{urlencode({'to': to})}", Host=urlsplit(site.url).netloc)
    assert left.status == 303 and "SameSite=Lax" in left.headers["set-cookie"]
    status, headers = follow(left.headers["location"], "POST", {"sub": who})
    assert status == 302, headers
    back = urlsplit(headers["Location"])
    cookie = {"Cookie": f"panicast_login={left.cookies['panicast_login']}"}
    return site.ask(f"{back.path[len('/p') :]}?{back.query}", **cookie), back, cookie


class Refresh(HTMLParser):
    """Finds where a page goes by itself."""

    to = None

    def handle_starttag(self, tag, attrs):
        if tag == "meta" and dict(attrs).get("http-equiv") == "refresh":
            self.to = dict(attrs)["content"].partition("url=")[2]


def session(answer):
    """The header with the session that an answer begins."""
    return {"Cookie": f"panicast_session={answer.cookies['panicast_session']}"}


def test_a_person_logs_in_reads_and_changes(site):
    assert site.ask("/groups").headers["location"].startswith("/p/login?to=")
    assert "/p/login/provider?to=%2Fgroups" in site.ask("/login?to=/groups").text
    answer, back, cookie = login(site, "ann")
    assert answer.status == 200 and "You are ann." in answer.text
    page = Refresh()
    page.feed(answer.text)
    assert page.to == "/p/groups" and site.ask("/groups", **session(answer)).status == 200
    path = f"/groups/{signature(site.state)}"
    shown = site.ask(path, **session(answer)).text
    assert '<form class="change"' in shown and "readonly" in shown
    # Who it was is not what a form says.
    form = urlencode({"action": "acknowledge", "detail": "", "note": "", "by": "somebody"})
    assert site.ask(path, "POST", form, **FORM, **session(answer)).status == 303
    (change,) = json.loads(site.ask(f"/api/v1{path}", **session(answer)).body)["changes"]
    assert (change["by"], change["via"]) == ("ann", "page (127.0.0.1)")
    # The provider's answer is good once.
    assert site.ask(f"{back.path[len('/p') :]}?{back.query}", **cookie).status == 403
    site.ask("/logout", "POST", **session(answer))
    assert site.ask("/api/v1/records", **session(answer)).status == 401


def test_a_reader_reads_only_and_a_stranger_gets_nothing(site):
    answer, _, _ = login(site, "bob")
    path = f"/groups/{signature(site.state)}"
    page = site.ask(path, **session(answer))
    assert page.status == 200 and '<form class="change"' not in page.text
    form = urlencode({"action": "reopen", "detail": "", "note": "", "by": "ann"})
    assert site.ask(path, "POST", form, **FORM, **session(answer)).status == 403
    # An address that nobody has checked is nobody's.
    refused, _, _ = login(site, "eve")
    assert refused.status == 403 and "eve is not among web_readers or web_operators" in refused.text
    assert "panicast_session" not in refused.cookies


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example"]
)
def test_nobody_is_led_elsewhere(site, to):
    answer, _, _ = login(site, "ann", to)
    page = Refresh()
    page.feed(answer.text)
    assert page.to == "/p/"


def test_a_login_that_another_began_is_refused(site):
    """Somebody lets a victim come back with his own code, so that the victim works under his name."""
    _, back, _ = login(site, "bob")
    victim = site.ask("/login/provider")
    cookie = {"Cookie": f"panicast_login={victim.cookies['panicast_login']}"}
    for headers in (cookie, {}, {"Cookie": "panicast_login=x.y"}):
        answer = site.ask(f"{back.path[len('/p') :]}?{back.query}", **headers)
        assert answer.status == 403 and "begun elsewhere" in answer.text
    state = dict(parse_qsl(urlsplit(victim.headers["location"]).query))["state"]
    answer = site.ask(f"/login/done?{urlencode({'state': state, 'error': '<b>no</b>'})}", **cookie)
    assert answer.status == 403 and "<b>" not in answer.text
    answer = site.ask(f"/login/done?{urlencode({'state': state, 'code': 'x'})}", **cookie)
    assert answer.status == 403


def test_strangers_and_foreign_pages_keep_nobody_from_logging_in(site):
    """Whoever comes back from nowhere costs nothing, and is not counted."""
    for _ in range(15):
        assert site.ask("/login/done?code=x&state=y").status == 403
    assert login(site, "ann")[0].status == 200


@contextlib.contextmanager
def page_of(issuer, folder):
    """A page whose people log in there."""
    client = folder / "client"
    client.touch(0o600)
    client.write_text("panicast:a-secret\n")
    with website(folder, "--web-oidc", issuer, "--web-oidc-client", str(client)) as page:
        yield page


def test_a_provider_that_is_away_is_told(liar, tmp_path):
    fill(tmp_path)
    liar.description_status = 502
    with page_of(liar.url, tmp_path) as page:
        answer = page.ask("/login/provider")
        assert answer.status == 503 and "answers 502" in answer.text


def test_a_provider_that_hangs_takes_few_files(tmp_path):
    """Each visitor's request would keep one open; of a thousand the page needs some."""
    fill(tmp_path)
    with contextlib.ExitStack() as stack:
        hanging = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        page = stack.enter_context(page_of(f"http://127.0.0.1:{hanging.getsockname()[1]}", tmp_path))
        for _ in range(60):
            connection = stack.enter_context(contextlib.closing(page.connect()))
            connection.request("GET", "/login/provider")
        assert "many people log in just now" in connection.getresponse().read().decode()
        assert page.ask("/healthz").status == 200


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--web-oidc", "http://sso.example.org"], "http only on this machine"),
        (["--web-oidc", "sso.example.org"], "an https address"),
        (["--web-oidc", "https://sso.example.org"], "web_oidc_client"),
        (["--web-readers", "ann"], "user:NAME"),
    ],
)
def test_wrong_settings(cli, flags, words):
    done = cli("web", "--config", "/dev/null", "--web-listen", "127.0.0.1:0", *flags)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


# -- a provider that lies ------------------------------------------------------------------------------


class Liar:
    """A provider that answers what the test says."""

    def __init__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send(outer.description_status, json.dumps(outer.description).encode())

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send(outer.status, outer.body)

            def send(self, status, body):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.description = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/login",
            "token_endpoint": f"{self.url}/token",
        }
        self.status, self.body, self.description_status = 200, b"{}", 200
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def liar():
    """See the class."""
    with contextlib.closing(Liar()) as server:
        yield server


#: Who may change groups.
OPERATORS = parse_people("sub:ann,user:kate,group:oncall,mail:*@ops.example.org")


def attempt(liar, claims, clock=lambda: 1000.0, later=None):
    """Go there and come back; ``claims`` makes the ID token's from the nonce."""
    oidc = Oidc(Provider(liar.url, "panicast", "s", (), OPERATORS), clock)

    async def run():
        where, cookie = await oidc.leave("/", "http://127.0.0.1/login/done")
        asked = dict(parse_qsl(urlsplit(where).query))
        assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
        if claims is not None:
            said = base64.urlsafe_b64encode(json.dumps(claims(asked["nonce"])).encode()).decode().rstrip("=")
            liar.body = json.dumps({"id_token": f"e30.{said}.e30"}).encode()
        if later:
            later()
        return await oidc.arrive(oidc.trip(cookie, {"state": asked["state"], "code": "c"}), "c")

    return asyncio.run(run())


def right(liar, nonce):
    """The claims of an ID token that is right."""
    return {"iss": liar.url, "aud": "panicast", "exp": 2000, "nonce": nonce, "sub": "ann"}


def test_the_least_that_is_right(liar):
    assert attempt(liar, lambda nonce: right(liar, nonce)) == Grant("ann", "operate", person=True)
    several = attempt(liar, lambda nonce: {**right(liar, nonce), "aud": ["other", "panicast"], "sub": "x"})
    assert several == Grant("x", "read", person=True)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"iss": "https://evil.example"}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": ["another"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"azp": "another"}, "azp"),
        ({"exp": 880}, "exp"),
        ({"exp": "3000"}, "exp"),
        ({"exp": None}, "exp"),
        ({"nonce": "old"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": None}, "sub"),
    ],
)
def test_an_id_token_of_another_is_refused(liar, changes, what):
    with pytest.raises(ReceiverError, match=f"wrong: {what}"):
        attempt(liar, lambda nonce: {**right(liar, nonce), **changes})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error": "invalid_grant"}', Wrong),
        (400, b'{"error": "invalid_request"}', ReceiverError),
        (401, b'{"error": "invalid_client"}', ReceiverError),
        (302, b"", ReceiverError),
        (200, b"[" * 100_000, ReceiverError),
        (200, b"[]", ReceiverError),
        (200, b"x" * (1 << 20), ReceiverError),
        (200, b"{}", ReceiverError),
        (200, b'{"id_token": "a"}', ReceiverError),
        (200, b'{"id_token": "a.!!!.c"}', ReceiverError),
        (200, b'{"id_token": "a.e30.c"}', ReceiverError),
        (200, b'{"id_token": "a.W10.c"}', ReceiverError),
        (200, b'{"id_token": 5}', ReceiverError),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_any_answer_ends_in_a_sentence(liar, status, body, kind):
    liar.status, liar.body = status, body
    with pytest.raises(kind):
        attempt(liar, None)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"preferred_username": "oncall"}, "read"),
        ({"preferred_username": "x@ops.example.org"}, "read"),
        ({"groups": ["x@ops.example.org", "kate", 5]}, "read"),
        ({"email": "x@ops.example.org", "email_verified": "true"}, "read"),
        # The Kelvin sign becomes a k in lower case.
        ({"preferred_username": "\u212aate"}, "read"),
        ({"groups": ["dev", "oncall"]}, "operate"),
        ({"preferred_username": "kate"}, "operate"),
        ({"email": "x@ops.example.org", "email_verified": True}, "operate"),
    ],
)
def test_a_name_of_one_kind_is_not_taken_for_one_of_another(liar, claims, role):
    assert attempt(liar, lambda nonce: {**right(liar, nonce), "sub": "x", **claims}).role == role


def test_a_name_does_nothing_to_a_page(liar):
    claims = {"preferred_username": " \n\x1b[2J\ud800 "}
    assert attempt(liar, lambda nonce: {**right(liar, nonce), **claims}).name == "\\x0a\\x1b[2J\\ud800"


def test_clocks_may_differ_a_little(liar):
    assert attempt(liar, lambda nonce: {**right(liar, nonce), "exp": 900}).name == "ann"


@pytest.mark.parametrize(
    "changes", [{"issuer": "https://evil.example"}, {"token_endpoint": None}, {"token_endpoint": "ftp://x/"}]
)
def test_a_wrong_description_is_refused(liar, changes):
    liar.description.update(changes)
    with pytest.raises(ReceiverError):
        attempt(liar, lambda nonce: right(liar, nonce))


def test_who_takes_too_long_begins_anew(liar):
    now = [1000.0]
    with pytest.raises(Wrong, match="took too long"):
        attempt(
            liar,
            lambda nonce: {**right(liar, nonce), "exp": 9999},
            lambda: now[0],
            lambda: now.__setitem__(0, 1000.0 + LOGIN_S),
        )
