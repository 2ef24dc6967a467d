# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels and maintenance windows on the page, in the API and in metrics."""

import contextlib
import json
from html import unescape
from urllib.parse import quote, urlencode

import pytest

from panicast_receiver import orders
from panicast_receiver.db import labels, schema
from panicast_receiver.records.labels import parse

from .test_web import Markup
from .test_web_api import metrics
from .test_web_groups import BEARER, FORM, TOKEN, post
from .website import fill, website

LABELS = """
db-*      owner="data base" role=<b>x</b>
db-03*    rack=r12
<script>* rack=r13
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A filled database with labels, a token, and what takes the page's orders."""
    folder = tmp_path_factory.mktemp("state")
    fill(folder)
    with contextlib.closing(schema.open_writer(folder / schema.FILE_NAME)) as db:
        labels.put(db, parse(LABELS, "f"))
    (folder / "token").touch(0o600)
    (folder / "token").write_text(TOKEN)
    end = orders.begin(folder / schema.FILE_NAME)
    yield folder
    end()


@pytest.fixture(scope="module")
def site(state):
    with website(state, "--web-token-file", str(state / "token")) as site:
        yield site


def ask(site, path):
    answer = site.ask(path, **BEARER)
    assert answer.status == 200, answer.text
    return json.loads(answer.body)


def test_labels_are_shown_and_lead_to_their_hosts(site):
    page = site.ask("/hosts", **BEARER).text
    links = [attrs["href"] for tag, attrs in Markup(page).elements if tag == "a" and "label" in attrs["href"]]
    assert "owner=data base" in unescape(page) and "<b>x</b>" in unescape(page) and "<b>" not in page
    for link in links:
        found = site.ask(link, **BEARER)
        assert found.status == 200 and ("db-0" in found.text or "script" in found.text), link
    host = site.ask("/host?host=db-03.example.net", **BEARER).text
    assert "rack=r12" in host and "<b>" not in host
    record = ask(site, "/api/v1/records?search=label:rack=r12&limit=1")["records"][0]
    assert record["labels"] == {"owner": "data base", "role": "<b>x</b>", "rack": "r12"}
    assert "rack=r12" in site.ask(f"/records/{record['id']}", **BEARER).text
    hosts = ask(site, f"/api/v1/hosts?search={quote('label:owner')}")["hosts"]
    assert {one["host"] for one in hosts} == {"db-03.example.net", "db-04.example.net"}
    wrong = site.ask("/api/v1/hosts?search=label:9", **BEARER)
    assert wrong.status == 400 and "is not a label" in wrong.text


def test_metrics_count_by_label(site):
    with website(site.process.args[site.process.args.index("--state-dir") + 1]) as bare:
        told = metrics(bare)["panicast_labelled_hosts"]
    # label, state, value
    assert told[("rack", "panicked", "r12")] == 1 and told[("owner", "panicked", "data base")] == 2


def test_a_window_by_the_api(site):
    told = {"hosts": "db-* rack=r12", "until": "4h", "note": "<b>x</b>", "by": "ann"}
    answer = post(site, "/api/v1/maintenance", told)
    window = json.loads(answer.body)
    assert answer.status == 200 and (window["state"], window["hosts"]) == ("now", ["db-*", "rack=r12"])
    assert (window["by"], window["via"]) == ("ann", "API (127.0.0.1)")
    assert ask(site, "/api/v1/maintenance")["windows"] == [window]
    hosts = {one["host"]: one["maintenance"] for one in ask(site, "/api/v1/hosts")["hosts"]}
    assert hosts["db-03.example.net"] == window["number"] and hosts["web-01"] is None
    page = site.ask("/host?host=db-03.example.net", **BEARER).text
    assert "maintenance" in page and "said ann" in page and "<b>x</b>" in unescape(page) and "<b>" not in page
    ended = json.loads(post(site, f"/api/v1/maintenance/{window['number']}", {"by": "bob"}).body)
    assert (ended["state"], ended["ended_by"], ended["ended_via"]) == ("over", "bob", "API (127.0.0.1)")
    assert ask(site, "/api/v1/maintenance")["windows"] == []
    assert ask(site, "/api/v1/maintenance?over=true")["windows"][0] == ended


@pytest.mark.parametrize(
    ("path", "told", "headers", "status", "words"),
    [
        ("", {"until": "4h", "by": "ann"}, {}, 400, "say which hosts"),
        ("", {"hosts": "*", "by": "ann"}, {}, 400, "say until when"),
        ("", {"hosts": "*", "until": "4h"}, {}, 400, "say who you are"),
        ("", {"hosts": ["*"], "until": "4h", "by": "ann"}, {}, 400, "send an object of strings"),
        (
            "",
            {"hosts": "*", "until": "4h", "by": "ann"},
            {"Sec_Fetch_Site": "cross-site"},
            403,
            "another site",
        ),
        ("", {"hosts": "*", "until": "4h", "by": "ann"}, {"Authorization": "Bearer x"}, 401, "wants a token"),
        ("/999", {"by": "ann"}, {}, 404, "there is no window 999"),
        ("/999", {"by": "ann", "number": "1"}, {}, 400, "there are: note, by"),
        ("/999", {}, {}, 400, "say who you are"),
    ],
)
def test_what_the_api_refuses(site, path, told, headers, status, words):
    answer = post(site, f"/api/v1/maintenance{path}", told, **headers)
    assert answer.status == status and words in json.loads(answer.body)["error"], answer.text


def test_a_window_by_the_page(site):
    login = site.ask("/login", "POST", urlencode({"token": TOKEN}), **FORM)
    cookie = {"Cookie": f"panicast_session={login.cookies['panicast_session']}"}

    def send(form):
        return site.ask("/maintenance", "POST", urlencode(form), **FORM, **cookie)

    form = {"action": "start", "hosts": "web-*", "from": "", "until": "2h", "by": "Zoë", "note": "a\r\nb"}
    answer = send(form)
    assert (answer.status, answer.headers["location"]) == (303, "/maintenance")
    page = site.ask("/maintenance", **cookie).text
    assert "web-*" in page and "Zoë" in page
    (number,) = [attrs["value"] for _, attrs in Markup(page).elements if attrs.get("name") == "number"]
    assert "maintenance" in site.ask("/hosts?search=web-01", **cookie).text
    assert send({"action": "end", "number": number, "by": "Zoë"}).status == 303
    page = site.ask("/maintenance", **cookie).text
    assert "There is no window now" in page
    over = site.ask("/maintenance?over=true", **cookie).text
    assert "Ended" in over and f"End window {number}" not in over
    assert send({"action": "end", "number": number, "by": "Zoë"}).status == 400
    assert send({**form, "until": ""}).status == 400
    assert site.ask("/maintenance", "POST", urlencode(form), **FORM).status == 401


def test_who_may_not_change_anything_sees_windows(state):
    with website(state) as bare:
        page = bare.ask("/maintenance")
        assert page.status == 200 and "<form" not in page.text and "web_token_file" in page.text
        refused = bare.ask("/api/v1/maintenance", "POST", '{"by": "ann"}', Content_Type="application/json")
        assert refused.status == 403
