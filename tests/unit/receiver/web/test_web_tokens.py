# SPDX-License-Identifier: GPL-2.0-or-later
"""Named tokens: made, listed and revoked by a command, with a role and an end."""

import contextlib
import json
import threading
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver import orders
from panicast_receiver.cli import tokens as tokens_command
from panicast_receiver.db import schema
from panicast_receiver.errors import ReceiverError, UsageError
from panicast_receiver.settings import load
from panicast_receiver.web.tokens import Grant, Token, Tokens, digest, read, render

from .test_web_groups import FORM, signature
from .website import fill, website


@pytest.fixture
def file(tmp_path):
    """Where the tokens are: nothing yet."""
    return tmp_path / "tokens"


@pytest.fixture
def token(cli, file):
    """Runs the command; returns what it prints."""

    def run(*argv):
        done = cli("token", *argv, "--web-tokens-file", str(file), "--config", "/dev/null", state_dir=None)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def bearer(word):
    """The header with a token."""
    return {"Authorization": f"Bearer {word}"}


def test_the_life_of_a_token(token, file, tmp_path):
    fill(tmp_path)
    reading, working = token("add", "grafana"), token("add", "oncall", "--role", "operate")
    assert file.stat().st_mode & 0o777 == 0o600
    assert reading not in file.read_text() and working not in file.read_text()
    end = orders.begin(tmp_path / schema.FILE_NAME)
    with contextlib.ExitStack() as stack:
        stack.callback(end)
        site = stack.enter_context(website(tmp_path, "--web-tokens-file", str(file)))
        assert site.ask("/api/v1/records").status == 401
        assert site.ask("/api/v1/records", **bearer("x" * 43)).status == 401
        for word in (reading, working):
            assert site.ask("/api/v1/records", **bearer(word)).status == 200
        path = f"/groups/{signature(tmp_path)}"
        change = json.dumps({"action": "acknowledge", "by": "ann"})
        headers = {"Content_Type": "application/json"}
        refused = site.ask(f"/api/v1{path}", "POST", change, **headers, **bearer(reading))
        assert refused.status == 403 and "grafana may only read" in refused.text
        done = site.ask(f"/api/v1{path}", "POST", change, **headers, **bearer(working))
        assert done.status == 200
        (made,) = json.loads(done.body)["changes"]
        assert made["via"] == "API (127.0.0.1, token oncall)"
        # A browser's session is worth what its token is.
        cookies = {}
        for word in (reading, working):
            login = site.ask("/login", "POST", urlencode({"token": word}), **FORM)
            cookies[word] = {"Cookie": f"panicast_session={login.cookies['panicast_session']}"}
        assert '<form class="change"' in site.ask(path, **cookies[working]).text
        page = site.ask(path, **cookies[reading])
        assert page.status == 200 and '<form class="change"' not in page.text
        assert "You may only read." in page.text
        form = urlencode({"action": "reopen", "detail": "", "note": "", "by": "ann"})
        assert site.ask(path, "POST", form, **FORM, **cookies[reading]).status == 403
        assert token("list").split() == ["grafana", "read", "never", "oncall", "operate", "never"]
        token("revoke", "grafana")
        assert site.ask("/api/v1/records", **bearer(reading)).status == 401
        assert site.ask("/api/v1/records", **cookies[reading]).status == 401
        assert site.ask("/api/v1/records", **cookies[working]).status == 200
        # Another of that name does not open what the old one began.
        token("add", "grafana")
        assert site.ask("/api/v1/records", **cookies[reading]).status == 401
        # A file that is gone or wrong opens nothing.
        file.unlink()
        assert site.ask("/api/v1/records", **bearer(working)).status == 401


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["revoke", "nobody"], "has no token 'nobody'"),
        (["add"], "say which token"),
        (["revoke"], "say which token"),
        (["add", "a b"], "cannot name a token"),
        (["add", "a\x1bb"], "cannot name a token"),
        (["add", "here"], "already"),
        (["add", "a", "--until", "tomorrow"], "2027-02-28"),
        (["add", "a", "--role", "root"], "right are: read, operate"),
        (["ad", "a"], "did you mean add"),
    ],
)
def test_what_is_refused_leaves_the_file(token, cli, file, argv, words):
    token("add", "here")
    before = file.read_text()
    done = cli("token", *argv, "--web-tokens-file", str(file), "--config", "/dev/null", state_dir=None)
    assert done.returncode in (1, 2) and words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "\x1b" not in done.stderr
    assert file.read_text() == before
    assert [one.name for one in file.parent.glob(".tokens*")] == [".tokens.lock"]


def test_who_adds_a_token_does_not_bring_back_a_revoked_one(token, file, monkeypatch):
    token("add", "old")
    settings = load({"web_tokens_file": str(file)}, "/dev/null")
    other = threading.Thread(target=tokens_command.run, args=(settings, "revoke", "old", "", ""))

    def make():
        other.start()
        # It waits for us, so this ends by time.
        other.join(1)
        return "m" * 43

    monkeypatch.setattr(tokens_command, "make", make)
    tokens_command.run(settings, "add", "new", "read", "never")
    other.join()
    assert [one.name for one in read(file)] == ["new"]


def test_without_a_setting_it_says_what_to_write(cli):
    done = cli("token", "list", "--config", "/dev/null", state_dir=None)
    assert done.returncode == 2 and "web_tokens_file = " in done.stderr


def test_a_token_ends_on_its_day(file):
    file.touch(0o600)
    file.write_text(render([Token("a", "read", "1970-01-02", digest("word"))]))
    now = [86399.0]
    tokens = Tokens(None, file, lambda: now[0])
    assert tokens.wanted and tokens.grant(digest("word")) == Grant("a", "read")
    now[0] = 86400.0
    assert tokens.grant(digest("word")) is None


def test_a_file_that_becomes_wrong_opens_nothing_until_it_is_right(file, caplog):
    file.touch(0o600)
    right = render([Token("a", "read", "never", digest("word"))])
    file.write_text(right)
    tokens = Tokens("main", file)
    for text in (right + "x\n", right.replace("read", "root"), right.replace("never", "soon")):
        file.write_text(text)
        assert tokens.grant(digest("word")) is None and tokens.grant(digest("main"))
    file.write_text(right)
    file.chmod(0o644)
    assert tokens.grant(digest("word")) is None
    file.chmod(0o600)
    assert tokens.grant(digest("word")) == Grant("a", "read")


@pytest.mark.parametrize("line", ["a read never", f"a root never {'0' * 64}", "a read never 00", "a b c d e"])
def test_a_wrong_file_is_an_error_at_the_start(file, line):
    file.touch(0o600)
    file.write_text(line + "\n")
    with pytest.raises(UsageError, match="tokens"):
        Tokens(None, file)
    file.chmod(0o644)
    with pytest.raises(ReceiverError, match="chmod 600"):
        Tokens(None, file)


@given(st.text())
def test_only_the_token_has_its_digest(word):
    tokens = Tokens("main", None)
    assert (tokens.grant(digest(word)) is None) == (word != "main")
    # Who reads the file has no token.
    assert tokens.grant(digest(digest("main"))) is None and tokens.grant(word) is None


def test_what_is_written_is_read(file):
    file.touch(0o600)
    tokens = [Token("a", "read", "never", digest("a")), Token("b@c", "operate", "2027-02-28", digest("b"))]
    file.write_text(render(tokens))
    assert read(file) == tokens
