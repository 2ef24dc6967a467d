# SPDX-License-Identifier: GPL-2.0-or-later
"""What each kind of setting takes, where its bounds are, and what a wrong value is told."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panicast_receiver import settings
from panicast_receiver.errors import UsageError
from panicast_receiver.settings import SERVE, SETTINGS, Settings, from_flag, kinds, load, render_toml
from panicast_receiver.settings.kinds import Hint, Setting
from panicast_receiver.settings.nearest import suggestion
from panicast_receiver.settings.syslog import parse_syslog
from panicast_receiver.settings.web import parse_names

BY_KEY = {setting.key: setting for setting in SETTINGS}
NUMBERS = [setting for setting in SETTINGS if setting.kind in (int, float)]


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.key)
def test_a_number_is_right_up_to_its_bounds_and_no_further(setting):
    for bound, beyond in ((setting.low, -math.inf), (setting.high, math.inf)):
        at = setting.kind(bound)
        assert setting.convert(at, "here") == at and type(setting.convert(at, "here")) is setting.kind
        out = at + int(math.copysign(1, beyond)) if setting.kind is int else math.nextafter(at, beyond)
        with pytest.raises(UsageError) as refused:
            setting.convert(out, "here")
        words = str(refused.value)
        assert words.startswith(f"here: {out!r} is wrong; right is a ")
        assert f" from {setting.low:.12g} to {setting.high:.12g}" in words
        assert ("whole number" in words) == (setting.kind is int)


def test_a_whole_number_stands_for_any_number_but_not_the_other_way_round():
    got = BY_KEY["idle_s"].convert(7, "idle_s")
    assert got == 7.0 and type(got) is float
    for key, value in (("memory_mib", 8.0), ("memory_mib", True), ("journal", 1), ("journal", "true")):
        with pytest.raises(UsageError, match=key):
            BY_KEY[key].convert(value, key)
    assert BY_KEY["journal"].convert(True, "journal") is True


def test_a_secret_is_not_repeated():
    for key, value in (("webhook", "ftp://user:hunter2@x/"), ("listen", "hunter2")):
        with pytest.raises(UsageError) as refused:
            BY_KEY[key].convert(value, key)
        assert ("hunter2" in str(refused.value)) != BY_KEY[key].secret
    with pytest.raises(UsageError, match=r"^webhook: what it says is wrong; right is URL, an http"):
        BY_KEY["webhook"].convert("x", "webhook")


def test_what_is_right_is_said_by_the_form_the_example_or_the_choice():
    assert BY_KEY["journal"].right == "true or false"
    assert BY_KEY["capture"].right == "one of auto, ring, udp"
    assert BY_KEY["idle_s"].right == "a number from 0.1 to 3600"
    assert BY_KEY["memory_mib"].right == "a whole number from 4 to 65536"
    assert BY_KEY["interface"].right == (
        "NAME[,NAME], names of interfaces, separated by commas, such as 'eth0,eth1'"
    )
    # Without an example of its own the default is one; without a form it is text in quotes.
    assert Setting("a", str, "b", "C", "").right == "C, in quotes, such as 'b'"
    assert Setting("a", str, "", "C", "").right == "C, in quotes"
    assert Setting("a", str, "", "X|Y", "", form="one letter").right == "X|Y, one letter"


def test_flags_are_the_keys_with_dashes_and_convert_as_the_file_does():
    setting = BY_KEY["source_records_per_minute"]
    assert setting.flag == "--source-records-per-minute"
    assert from_flag(setting)("12") == 12
    assert from_flag(BY_KEY["idle_s"])("2") == 2.0
    for text in ("twelve", "1.5", ""):
        with pytest.raises(UsageError, match=f"^--source-records-per-minute: {text!r} is wrong"):
            from_flag(setting)(text)


@given(st.ip_addresses(v=4), st.integers(0, 65535))
def test_an_ipv4_address_and_a_port_are_split_and_joined(address, port):
    assert kinds.host_and_port(f"{address}:{port}") == (str(address), port)
    assert kinds.address_and_port(str(address), port) == f"{address}:{port}"


@given(st.ip_addresses(v=6), st.integers(0, 65535))
def test_an_ipv6_address_in_brackets_too(address, port):
    text = kinds.address_and_port(str(address), port)
    assert text == f"[{address}]:{port}" and kinds.host_and_port(text) == (str(address), port)
    with pytest.raises(Hint) as refused:
        kinds.host_and_port(f"{address}:{port}")
    assert text in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:65536",
        "127.0.0.1:",
        "127.0.0.1",
        ":6664",
        "host:6664",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:\u0661",
        "[127.0.0.1]:1",
        "[::1:6664",
        "::1]:6664",
        "[]:6664",
        "6664",
        "",
    ],
)
def test_what_is_no_address_and_port_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        kinds.host_and_port(text)
    with pytest.raises(UsageError, match=r"^listen: "):
        BY_KEY["listen"].convert(text, "listen")


def test_only_what_a_hint_says_is_added_to_what_is_right():
    with pytest.raises(UsageError) as refused:
        BY_KEY["listen"].convert("host:1", "listen")
    assert str(refused.value).endswith(f"right is {BY_KEY['listen'].right}")
    with pytest.raises(UsageError) as refused:
        BY_KEY["listen"].convert("::1:1", "listen")
    assert str(refused.value).endswith(f"{BY_KEY['listen'].right}. Put an IPv6 address in brackets: [::1]:1")


def test_names_of_interfaces_are_as_long_as_the_kernels():
    assert kinds.parse_interfaces("") == [""]
    assert kinds.parse_interfaces(" eth0 , a ") == ["eth0", "a"]
    assert kinds.parse_interfaces("x" * 15) == ["x" * 15]
    for wrong in ("x" * 16, "é" * 8, "eth0,", "a/b", " "):
        with pytest.raises(ValueError, match=r".*"):
            kinds.parse_interfaces(wrong)


def test_lists_of_names_leave_out_what_is_empty():
    assert kinds.parse_names(" a ,, b,") == ["a", "b"]
    assert kinds.parse_names("") == []
    assert parse_names("A.example.org, [::1] ,,b") == {"a.example.org", "[::1]", "b"}
    assert parse_names("") == frozenset()
    for wrong in ("a b", "a,b/c", "http://a", "[::1]:80"):
        with pytest.raises(ValueError, match=r".*"):
            parse_names(wrong)


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (kinds.absolute, ("", "/", "/a/b"), ("a", "./a", " /a")),
        (
            kinds.web_address,
            ("", "http://a", "https://a.example.org:8443/x?y", "http://[::1]:1/", "http://a:65535/"),
            ("a", "ftp://a/", "http://", "http:///x", "http://a:0/", "http://a:65536/", "http://a:b/", "//a"),
        ),
        (
            kinds.parse_servers,
            ("", "nats://a:4222", "tls://a:1, nats://b", "nats://[::1]:4222"),
            ("a", "http://a", "nats://", "nats://user@a:1", "nats://user:pw@a", "nats://a,", "nats://a,b"),
        ),
        (kinds.one_of("a", "b"), ("a", "b"), ("", "c", "ab", "A")),
    ],
)
def test_each_check_takes_what_is_right_and_refuses_what_is_not(check, right, wrong):
    for text in right:
        check(text)
    for text in wrong:
        with pytest.raises(ValueError, match=r".*"):
            check(text)


def test_servers_are_a_list():
    assert kinds.parse_servers("tls://a:1, nats://b") == ["tls://a:1", "nats://b"]
    assert kinds.parse_servers("") == []


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("host=db dbname=panicast user=p", True),
        ("postgresql://p@db/panicast", True),
        ("host=db passfile=/etc/panicast/pgpass", True),
        ("postgresql://p:secret@db/panicast", False),
        ("postgres://p:secret@db", False),
        ("host=db password=secret", False),
        ("host=db PassWord = secret", False),
        ("sslpassword=secret host=db", False),
    ],
)
def test_a_password_in_a_connection_string_is_refused_and_not_repeated(text, good):
    if good:
        kinds.without_password(text)
        return
    with pytest.raises(UsageError) as refused:
        kinds.without_password(text)
    assert "secret" not in str(refused.value) and "passfile=" in str(refused.value)


@given(
    st.sampled_from(["udp", "tcp", "tls"]),
    st.sampled_from(["logs.example.org", "10.0.0.1", "[2001:db8::1]", "a-b_c"]),
    st.integers(1, 65535),
)
def test_a_syslog_server_is_a_way_a_host_and_a_port(way, host, port):
    assert parse_syslog(f"{way}:{host}:{port}") == (way, host.strip("[]"), port)
    assert BY_KEY["syslog"].convert(f"{way}:{host}:{port}", "syslog")


@pytest.mark.parametrize(
    "text", ["udp:h:0", "udp:h:65536", "udp:h", "http:h:1", "udp::1", "udp:a:b:1", "udp:h:1 ", "UDP:h:1"]
)
def test_what_is_no_syslog_server_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_syslog(text)
    with pytest.raises(UsageError, match=r"^syslog: "):
        BY_KEY["syslog"].convert(text, "syslog")
    assert BY_KEY["syslog"].convert("", "syslog") == ""


@pytest.mark.parametrize("text", ["/a/", "a", "/", "/a//b", "/a b", "/a?b"])
def test_a_base_path_has_no_slash_at_its_end(text):
    assert BY_KEY["web_base"].convert("/a/b-c_d.e~f", "web_base") == "/a/b-c_d.e~f"
    assert BY_KEY["web_base"].convert("", "web_base") == ""
    with pytest.raises(UsageError, match=r"^web_base: "):
        BY_KEY["web_base"].convert(text, "web_base")


def test_a_near_word_is_guessed_and_a_part_of_one():
    known = iter(["idle_s", "listen", "memory_mib"])
    assert suggestion("idel_s", known) == "; did you mean idle_s?"
    assert suggestion("memo", ["idle_s", "memory_mib"]) == "; did you mean memory_mib?"
    # Three letters are in too many words.
    assert suggestion("mem", ["idle_s", "memory_mib"]) == ""


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """The folders that records may be in, none of which is there, for an ordinary user."""
    monkeypatch.setattr(settings, "SYSTEM_STATE_DIR", tmp_path / "system")
    monkeypatch.setattr(settings.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def test_the_folder_that_is_set_is_used_whatever_there_is(homes):
    (homes / "system").mkdir()
    assert Settings({"state_dir": "/elsewhere"}).state_path(writing=True) == Path("/elsewhere")


def test_who_may_use_the_systems_records_does(homes, monkeypatch):
    (homes / "system").mkdir()
    asked = []
    monkeypatch.setattr(settings.os, "access", lambda path, mode: asked.append((path, mode)) or True)
    for writing, mode in ((True, settings.os.W_OK), (False, settings.os.R_OK | settings.os.X_OK)):
        assert Settings({}).state_path(writing) == homes / "system"
        assert asked.pop() == (homes / "system", mode)
    monkeypatch.setattr(settings.os, "access", lambda path, mode: False)
    monkeypatch.setattr(settings.os, "geteuid", lambda: 0)
    assert Settings({}).state_path(writing=True) == homes / "system"


def test_who_may_not_has_a_folder_of_his_own(homes, monkeypatch):
    assert Settings({}).state_path(writing=True) == homes / "xdg/panicast"
    monkeypatch.delenv("XDG_STATE_HOME")
    assert Settings({}).state_path(writing=True) == homes / "home/.local/state/panicast"


def test_who_has_no_records_and_asks_on_a_log_host_hears_of_the_hosts(homes, monkeypatch):
    monkeypatch.setattr(settings.os, "access", lambda path, mode: False)
    assert Settings({}).state_path(writing=False) == homes / "xdg/panicast"
    (homes / "system").mkdir()
    assert Settings({}).state_path(writing=False) == homes / "system"
    assert Settings({}).state_path(writing=True) == homes / "xdg/panicast"
    (homes / "xdg/panicast").mkdir(parents=True)
    assert Settings({}).state_path(writing=False) == homes / "xdg/panicast"


def test_a_file_that_is_named_must_be_there_and_says_where_it_was(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=f"cannot read the configuration {tmp_path}/none: No such file"):
        load({}, str(tmp_path / "none"), needed=False)
    packaged = tmp_path / "receiver.toml"
    packaged.write_text("idle_s = 3\n")
    monkeypatch.setattr(settings, "CONFIG_FILE", packaged)
    got = load({"memory_mib": 8}, None)
    assert (got.file, got.idle_s, got.memory_mib) == (packaged, 3.0, 8)
    packaged.write_bytes(b"idle_s = 3 # \xff\n")
    with pytest.raises(UsageError, match=f"{packaged} is not TOML"):
        load({}, None)


def test_the_shipped_file_says_what_a_reload_does_not_apply_and_how_far_numbers_go():
    parts = {part.splitlines()[-1].partition(" = ")[0]: part for part in render_toml().split("\n\n")[1:]}
    assert set(parts) == {f"#{setting.key}" for setting in SETTINGS}
    for setting in SETTINGS:
        part = parts[f"#{setting.key}"]
        assert part.startswith("# ") and max(map(len, part.splitlines())) <= 100
        assert ("(restart)" in part) == (not setting.live), setting.key
        bounds = f"# From {setting.low:.12g} to {setting.high:.12g}.\n"
        assert (bounds in part) == (setting.kind in (int, float)), setting.key
    assert parts["#journal"].endswith("#journal = false\n") or parts["#journal"].endswith("#journal = false")
    assert '#listen = "[::]:6664"' in parts["#listen"] and "#memory_mib = 256" in parts["#memory_mib"]


def test_all_that_serve_uses_is_a_setting():
    assert set(SERVE) < set(SETTINGS) and len(BY_KEY) == len(SETTINGS)
    assert {setting.key for setting in SETTINGS} == set(Settings.__annotations__)


@pytest.mark.parametrize(
    ("key", "hint"),
    [("idel_s", "; did you mean idle_s?"), ("xyzzy", "; `man panicast-receiver` lists the settings")],
)
def test_an_unknown_setting_is_named_with_what_to_do(tmp_path, key, hint):
    file = tmp_path / "c.toml"
    file.write_text(f"{key} = 3\n")
    with pytest.raises(UsageError) as refused:
        load({}, str(file))
    assert str(refused.value) == f"{file}: unknown setting {key!r}{hint}"
