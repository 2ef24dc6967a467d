# SPDX-License-Identifier: GPL-2.0-or-later
"""What each service is told, field by field, and which rules choose it."""

import email
import json
from email.policy import default

import pytest

from panicast_receiver.alerts import decide, rules
from panicast_receiver.alerts.formats import FORMATS, Secrets
from panicast_receiver.alerts.rules import KINDS, Rules, Target
from panicast_receiver.errors import UsageError

ALERT = {
    "kind": "first",
    "about": "c0ffee",
    "severity": "critical",
    "type": "panic",
    "title": "a <b> & c\x1b",
    "signature": "c0ffee",
    "host": "web-1\n",
    "labels": {},
    "kernel": "6.12.1",
    "records": 12,
    "hosts": 1,
    "state": "open",
    "record": "0123456789ab",
    "at": "2026-05-04T03:02:01.000000000Z",
    "line": "a new crash: a <b> & c",
}
URL = "https://example.org/a/path/topic"
JSON = {"Content-Type": "application/json"}


def told(name, alert=ALERT, target=None, **secrets):
    made = FORMATS[name](alert, target or Target("t", name), Secrets(**{"url": URL, **secrets}))
    return made.url, json.loads(made.body), made.headers


def test_alertmanager_is_told_of_a_group():
    labels = {
        **{"alertname": "PanicastFirst", "severity": "critical", "kind": "first"},
        **{"signature": "c0ffee", "type": "panic"},
    }
    notes = {"summary": ALERT["line"], "description": "a <b> & c\\x1b"}
    made = [{"labels": labels, "annotations": notes, "startsAt": ALERT["at"]}]
    assert told("alertmanager") == (URL, made, JSON)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"kind": "host"}, {"host": "web-1\\x0a"}),
        ({"kind": "kernel", "kernel": "6.12\x1b"}, {"kernel": "6.12\\x1b"}),
        ({"kind": "tenfold"}, {}),
    ],
)
def test_alertmanager_is_told_of_a_host_or_kernel_where_it_is_about_that(changes, more):
    ((made,),) = (told("alertmanager", {**ALERT, **changes, "type": ""})[1],)
    assert {name: made["labels"].get(name) for name in ("host", "kernel", "type")} == {
        **dict.fromkeys(("host", "kernel", "type")),
        **more,
    }


def test_any_service_is_told_everything_or_what_its_template_says():
    assert told("json") == (URL, ALERT, JSON)
    template = {"a": ["{records}", 5, None], "b": {"{kind}": "{title} of {nothing}"}, "c": "{nothing}"}
    made = told("json", target=Target("t", "json", template=json.dumps(template)))[1]
    assert made == {"a": [12, 5, None], "b": {"{kind}": f"{ALERT['title']} of {{nothing}}"}, "c": "{nothing}"}


def test_slack_is_told_a_line_without_links():
    assert told("slack") == (URL, {"text": "[critical] a new crash: a &lt;b&gt; &amp; c"}, JSON)


def test_pagerduty_is_told_of_an_incident():
    made = {
        "routing_key": "key",
        "event_action": "trigger",
        "dedup_key": "panicast/c0ffee",
        "payload": {
            "summary": ALERT["line"],
            "source": "web-1\\x0a",
            "severity": "critical",
            "timestamp": ALERT["at"],
            "component": "kernel",
            "group": "c0ffee",
            "class": "first",
            "custom_details": {
                **{"kind": "first", "signature": "c0ffee", "host": "web-1\\x0a", "kernel": "6.12.1"},
                **{"type": "panic", "record": "0123456789ab", "records": 12, "hosts": 1},
            },
        },
    }
    assert told("pagerduty", key="key") == (URL, made, JSON)
    assert told("pagerduty", url="")[0] == "https://events.pagerduty.com/v2/enqueue"
    long = {**ALERT, "about": "x" * 300, "line": "y" * 2000, "host": "", "more": ["one", "two"]}
    event = told("pagerduty", long)[1]
    assert (
        event["dedup_key"] == "panicast/" + "x" * (252 - 9) + "…" and event["payload"]["source"] == "panicast"
    )
    assert event["payload"]["summary"] == "y" * 1021 + "…"
    assert event["payload"]["custom_details"]["more"] == "one\ntwo"


@pytest.mark.parametrize(("severity", "priority"), [("critical", 5), ("warning", 4), ("info", 2)])
def test_ntfy_is_told_at_its_root(severity, priority):
    made = {
        **{"topic": "topic", "title": "panicast: first", "message": ALERT["line"], "priority": priority},
        "tags": [severity, "first"],
    }
    alert = {**ALERT, "severity": severity}
    assert told("ntfy", alert) == ("https://example.org/a/path/", made, JSON)
    url, made, headers = told("ntfy", alert, url="https://example.org/topic/", key="tk")
    assert (url, made["topic"]) == ("https://example.org/", "topic")
    assert headers == {**JSON, "Authorization": "Bearer tk"}


def test_the_labels_of_a_host_are_told():
    alert = {**ALERT, "labels": {"rack": "r12", "owner": "a\x1bb"}}
    words = "rack=r12 owner=a\\x1bb"
    assert told("alertmanager", alert)[1][0]["annotations"]["labels"] == words
    assert told("json", alert)[1]["labels"] == alert["labels"]
    template = Target("t", "json", template='{"a": "of {labels}", "b": "{labels}"}')
    assert told("json", alert, template)[1] == {"a": f"of {words}", "b": alert["labels"]}
    assert told("pagerduty", alert)[1]["payload"]["custom_details"]["labels"] == words
    assert f"labels:    {words}\n" in mail(alert).get_content()


def mail(alert):
    target = Target("t", "mail", to=("a@example.org", "b@example.org"), sender="panicast@example.org")
    made = FORMATS["mail"](alert, target, Secrets())
    assert made.url == "" and made.headers == {} and b"\r" not in made.body
    return email.message_from_bytes(made.body, policy=default)


def test_a_mail_says_it_in_its_subject_and_the_facts_below():
    found = mail(ALERT)
    assert (found["From"], found["To"]) == ("panicast@example.org", "a@example.org, b@example.org")
    assert found["Subject"] == f"panicast: {ALERT['line']}" and found["Auto-Submitted"] == "auto-generated"
    assert found.get_content() == (
        "a new crash: a <b> & c\n"
        "\n"
        "kind:      first\n"
        "signature: c0ffee\n"
        "host:      web-1\\x0a\n"
        "kernel:    6.12.1\n"
        "type:      panic\n"
        "record:    0123456789ab\n"
    )
    found = mail({**ALERT, "line": "x" * 300, "more": ["one", "two"], "kernel": "", "type": "", "host": ""})
    assert found["Subject"] == "panicast: " + "x" * 187 + "…"
    lines = found.get_content().splitlines()
    assert lines[1:4] == ["one", "two", ""] and [line.split(":")[0] for line in lines[4:]] == [
        *("kind", "signature", "record")
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "{first}: a <b> & c\\x1b (web-1\\x0a, kernel 6.12.1; 12 records of 1 host)"),
        (
            {"title": "", "records": 1, "hosts": 2000},
            "{first}: no reason given (web-1\\x0a, kernel 6.12.1; 1 record of 2,000 hosts)",
        ),
        ({"kernel": "", "title": "t", "host": "h"}, "{first}: t (h; 12 records of 1 host)"),
        ({"kind": "host", "title": "t"}, "web-1\\x0a crashes again and again: t"),
        ({"kind": "silent", "title": "3 of 9 hosts are silent"}, "{silent}: 3 of 9 hosts are silent"),
    ],
)
def test_an_alert_is_a_line(changes, said):
    assert decide.line({**ALERT, **changes}) == said.format_map(KINDS)


@pytest.mark.parametrize(
    ("state", "kind", "quiet"),
    [
        *(
            (state, kind, True)
            for state in ("acknowledged", "resolved")
            for kind in ("kernel", "tenfold", "first")
        ),
        *(
            (state, kind, False)
            for state in ("acknowledged", "resolved")
            for kind in ("regression", "host", "silent")
        ),
        *(("open", "first", False), ("regressed", "kernel", False), ("", "tenfold", False)),
    ],
)
def test_who_looks_after_it_already_hears_of_it_in_the_digest(state, kind, quiet):
    assert decide.is_quiet({**ALERT, "state": state, "kind": kind}) == quiet


@pytest.mark.parametrize(
    ("target", "alert", "wanted"),
    [
        ({}, {}, True),
        ({"severities": ("warning", "critical")}, {}, True),
        ({"severities": ("warning",)}, {}, False),
        ({"types": ("panic",)}, {}, True),
        ({"types": ("oops",)}, {}, False),
        # Of what has no type or host every target hears.
        ({"types": ("oops",)}, {"type": ""}, True),
        ({"hosts": ("web-*",)}, {"host": "WEB-1"}, True),
        ({"hosts": ("db-*",)}, {"host": "web-1"}, False),
        ({"hosts": ("db-*",)}, {"host": ""}, True),
        ({"hosts": ("web-*",), "types": ("oops",)}, {"host": "web-1"}, False),
    ],
)
def test_filters_choose(target, alert, wanted):
    assert Target("t", "json", **target).wants({**ALERT, **alert}) == wanted


TARGET = '[[target]]\nname = "a"\nformat = "json"\nurl = "https://example.org/"\n'


def write(tmp_path, text):
    path = tmp_path / "alerts.toml"
    path.write_text(text)
    return str(path)


def test_rules_have_usual_values(tmp_path):
    assert rules.load(write(tmp_path, "")) == Rules([], 3, 24.0, 10)
    (target,) = rules.load(write(tmp_path, TARGET)).target
    assert target == Target("a", "json", "https://example.org/") and target.on == tuple(
        kind for kind in KINDS if kind != "maintenance"
    )
    assert (target.sender, target.sendmail, target.digest_hours) == ("panicast", "/usr/sbin/sendmail", 0.0)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "host_crashes = 2",
            "host_crashes = 1000",
            "host_hours = 0.5",
            "host_hours = 8760",
            "silent_hosts = 1",
        ),
        *(f"{TARGET}digest_hours = 0", f"{TARGET}digest_hours = 8760", f"{TARGET}on = []"),
        *(f'{TARGET}severities = ["info"]', f'{TARGET}types = ["oops", "panic"]', f'{TARGET}hosts = ["*"]'),
        *(f"{TARGET}template = '{{\"a\": 1}}'", f'{TARGET}sendmail = "/bin/mail"', f'{TARGET}key_file = "x"'),
        TARGET.replace('"a"', f'"{"a" * 31}"'),
        TARGET.replace('url = "https://example.org/"', 'url_file = "chat"'),
        TARGET.replace('"json"\nurl = "https://example.org/"', '"pagerduty"\nkey_file = "key"'),
        TARGET.replace('"json"\nurl = "https://example.org/"', '"mail"\nto = ["a@b"]\nsender = "c@d"'),
    ],
)
def test_what_is_right_is_taken(tmp_path, line):
    assert rules.load(write(tmp_path, line))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("host_crashes = 1", "host_crashes: what it says is wrong; right is a whole number from 2"),
        ("host_crashes = 1001", "host_crashes: .* whole number from 2"),
        ("host_crashes = 2.5", "host_crashes"),
        ("host_crashes = true", "host_crashes"),
        ("host_hours = 0", "host_hours: .* a number of hours"),
        ("host_hours = 8761", "host_hours"),
        ("host_hours = true", "host_hours"),
        ("silent_hosts = 0", "silent_hosts: .* a whole number from 1"),
        ("silent_host = 5", "unknown key 'silent_host'.*silent_hosts"),
        ("target = 5", r"target: right is a table \[\[target\]\] for each"),
        ("target = [5]", r"target: right is a table \[\[target\]\] for each"),
        ("[target]\nname = 'a'", r"target: right is a table \[\[target\]\] for each"),
        (TARGET * 2, "two targets have the same name"),
        (f"{TARGET}nonesuch = 1", "target 1: unknown key 'nonesuch'"),
        (TARGET + TARGET.replace('"a"', '"b b"'), "target 2: name: .* a word"),
        (TARGET.replace('"a"', f'"{"a" * 32}"'), "target 1: name"),
        (TARGET.replace('"a"', "5"), "target 1: name"),
        (TARGET.replace('name = "a"\n', ""), "target 1: name is missing; right is a word"),
        (TARGET.replace('format = "json"\n', ""), "target 1: format is missing; right is one of"),
        (TARGET.replace('"json"', '"xml"'), "target 1: format: .* one of alertmanager, json, slack"),
        (TARGET.replace("https", "ftp"), "target 1: url: .* an http or https address"),
        (TARGET.replace('url = "https://example.org/"', ""), "target 1: json needs url; right is an http"),
        (TARGET.replace('"json"', '"pagerduty"'), "target 1: pagerduty needs key_file"),
        (TARGET.replace('"json"', '"mail"'), "target 1: mail needs to; right is an array of mail addresses"),
        (f'{TARGET}to = "a@b"', "target 1: to"),
        (f'{TARGET}to = ["a"]', "target 1: to"),
        (f'{TARGET}to = ["a@b\\n"]', "target 1: to"),
        (f'{TARGET}sender = "a\\nb"', "target 1: sender: .* a mail address"),
        (f'{TARGET}sendmail = "mail"', "target 1: sendmail: .* an absolute path"),
        (f'{TARGET}template = "{{"', "target 1: template: .* JSON"),
        (f'{TARGET}on = ["second"]', "target 1: on: .* an array of .*first, host"),
        (f'{TARGET}on = "first"', "target 1: on"),
        (f'{TARGET}severities = ["bad"]', "target 1: severities: .* critical, warning, info"),
        (f'{TARGET}types = ["test"]', "target 1: types: .* panic, oops"),
        (f"{TARGET}hosts = [5]", "target 1: hosts: .* an array of patterns"),
        (f"{TARGET}digest_hours = -1", "target 1: digest_hours"),
        (f"{TARGET}key_file = 5", "target 1: key_file: .* a path, or the name of a credential"),
        ("[", "is not TOML"),
    ],
)
def test_what_is_wrong_is_told_with_what_is_right(tmp_path, text, words):
    with pytest.raises(UsageError, match=rf"alerts\.toml:? .*{words}|alerts\.toml {words}"):
        rules.load(write(tmp_path, text))


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the rules of alerts .*none: No such file"):
        rules.load(str(tmp_path / "none"))
    (tmp_path / "alerts.toml").write_bytes(b"# \xff")
    with pytest.raises(UsageError, match="is not TOML"):
        rules.load(str(tmp_path / "alerts.toml"))


def test_the_secrets_of_a_target_are_in_its_files(tmp_path):
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text("secret\n")
    one = Target("a", "pagerduty", key_file=str(key))
    assert rules.secret(one, "key_file") == "secret" and rules.secret(one, "url_file") == ""
    assert rules.files(Rules([one, Target("b", "json", url_file="/x/url")])) == [key, rules.place("/x/url")]
