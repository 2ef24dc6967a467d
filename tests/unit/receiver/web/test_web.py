# SPDX-License-Identifier: GPL-2.0-or-later
"""The pages as a browser without JavaScript gets them: routes, filters, links, escaping, base path."""

import json
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panicast_receiver.meaning import understand
from panicast_receiver.text import KERNEL_LEVELS
from panicast_receiver.web import logtext, timeline

from ..conftest import PATIENCE_S, wait_until
from ..meaning.test_crash import OOPS, SYSRQ
from .website import HOSTILE, fill, website

VIEWS = ("/", "/groups", "/hosts", "/compare")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """The folder of a filled database."""
    folder = tmp_path_factory.mktemp("state")
    fill(folder)
    return folder


@pytest.fixture(scope="module", params=["", "/panicast"])
def page(state, request):
    """The page at the root, and below the path that a reverse proxy gives it."""
    # However long these tests take: who said hello a minute before them is not silent.
    with website(state, "--web-base", request.param, "--silent-s", "3600") as site:
        yield site


class Markup(HTMLParser):
    """What elements a page has, and its text; fails on elements that are not closed in order."""

    VOID = frozenset({"meta", "link", "input", "img", "rect", "path"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        """An element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """An element of SVG."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Its end."""
        assert self._open.pop() == tag

    def handle_data(self, data):
        """Text."""
        self.words.append(data)

    @property
    def text(self):
        """All of the text."""
        return " ".join(" ".join(self.words).split())

    def links(self):
        """Where the page leads."""
        return [attrs["href"] for tag, attrs in self.elements if tag == "a"]


def rows(page, query):
    """The ids of the records that the list shows."""
    answer = page.ask(f"/{query}")
    assert answer.status == 200, answer.text
    return [row.split()[0] for row in re.findall(r'<tr data-key="([^"]+)"', answer.text)]


def titles(page, query):
    """The same in words."""
    text = page.ask(f"/{query}").text
    return re.findall(r'<a class="host" href="[^"]*">([^<]+)</a>', text)


def test_every_page_is_whole_and_leads_somewhere(page):
    seen, waiting = set(), list(VIEWS)
    while waiting and len(seen) < 120:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = page.ask(path)
        assert answer.status == 200, path
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        for link in Markup(answer.text).links():
            if link.startswith("?"):
                link = page.base + path.partition("?")[0] + link
            assert link.startswith((f"{page.base}/", "#")), (path, link)
            if link.startswith("/") and "#" not in link:
                waiting.append(link[len(page.base) :])
    assert {"/", "/groups", "/hosts", "/metrics", "/openapi.json"} < seen
    assert len([path for path in seen if path.startswith("/records/")]) == 6


def test_nothing_comes_from_elsewhere_and_nothing_is_in_line(page):
    for path in (*VIEWS, "/login", f"/records/{rows(page, '')[0]}", "/nothing-here"):
        answer = page.ask(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        for tag, attrs in Markup(answer.text).elements:
            assert tag != "style" and "style" not in attrs
            assert tag != "script" or attrs["src"].startswith(page.base)
            assert not [name for name in attrs if name.startswith("on")]
            for name in ("src", "href", "action"):
                assert not attrs.get(name, "").startswith(("http:", "https:", "//", "javascript:"))


def test_records_are_newest_first_and_filtered(page):
    assert titles(page, "")[1:] == [
        "web-01",
        "arm-05",
        "db-03.example.net",
        "db-04.example.net",
        "db-03.example.net",
    ]
    assert titles(page, "?type=oops") == ["arm-05"]
    assert titles(page, "?host=web-01&type=&since=") == ["web-01"]
    assert len(rows(page, "?all=true")) == 8
    assert len(rows(page, "?since=1h")) == 4
    group = understand(SYSRQ).signature
    assert titles(page, f"?group={group}") == ["db-04.example.net", "db-03.example.net"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("NET_RX_action", ["db-03.example.net"]),
        ("PowerEdge+mlx_core", ["db-03.example.net"]),
        ("PowerEdge+arm", []),
        ("hardware", ["arm-05", "db-03.example.net", "db-04.example.net", "db-03.example.net"]),
        ("host:db+-sym:NET_RX_action", ["db-04.example.net", "db-03.example.net"]),
        ("drill", ["web-01"]),
    ],
)
def test_search(page, words, found):
    assert titles(page, f"?search={words}") == found


@pytest.mark.parametrize("words", ["%25", "_", "%5C%27%22", "since:never"])
def test_a_search_without_a_word_is_explained(page, words):
    answer = page.ask(f"/?search={words}")
    assert answer.status == 400 and "search: " in answer.text


def test_pages_follow_each_other_without_gap_or_repetition(page):
    seen, query = [], "?limit=2"
    while query:
        text = page.ask(f"/{query}").text
        seen += rows(page, query)
        older = re.search(r'href="([^"]+)" rel="next"', text)
        query = older[1].replace("&amp;", "&") if older else ""
    assert seen == rows(page, "") and len(seen) == 6


def test_a_record_shows_what_is_known_and_its_text(page):
    answer = page.ask(f"/records/{rows(page, '?host=db-03.example.net')[0]}")
    shown = Markup(answer.text)
    assert "Dell Inc. PowerEdge R640" in shown.text and "40 of" in shown.text
    assert "[panicast: 40 bytes missing]" in shown.text
    classes = [attrs["class"] for tag, attrs in shown.elements if attrs.get("class", "").startswith("line ")]
    assert classes.count("line warn frame") == 3 and "line emerg panic" in classes
    # The trace of a warning before the crash is not the crash's.
    assert classes[0] != "line warn frame" and "line warn at" in classes
    assert [attrs["datetime"][-1] for tag, attrs in shown.elements if tag == "time"].count("Z") >= 2


def test_the_first_page_says_what_is_burning(page):
    first = Markup(page.ask("/").text)
    for words in ("panics in the last hour", "new crashes", "3 hosts are not back", "1 is silent"):
        assert words in first.text
    assert "not back" in first.text and re.search(r"\d (s|min) ago", first.text)
    # Whoever looks for something needs no such numbers.
    assert "in the last hour" not in Markup(page.ask("/?type=panic").text).text


def test_groups_and_hosts(page):
    groups = Markup(page.ask("/groups").text)
    assert "sysrq triggered crash" in groups.text
    # The panic that was asked for was there a day before, whatever is asked for now.
    for path in ("/groups", "/groups?since=1d", "/?since=1d"):
        assert page.ask(path).text.count('<span class="tag new">') == 3
    labels = [attrs["aria-label"] for tag, attrs in groups.elements if attrs.get("class") == "plot"]
    assert len(labels) == 4 and [label for label in labels if label.startswith("2 records since")]
    hosts = Markup(page.ask("/hosts").text)
    assert "3 panicked" in hosts.text and "1 silent" in hosts.text and "1 armed" in hosts.text
    assert "web-02" in Markup(page.ask("/hosts?state=silent").text).text
    assert "db-03" not in Markup(page.ask("/hosts?state=silent").text).text


def test_crashes_and_hosts_come_in_another_order(page):
    def first(path, link):
        shown = Markup(page.ask(path).text)
        return next(one for one in shown.links() if link in one)

    for path, chosen in (("/groups", "hosts"), ("/groups", "first"), ("/hosts", "last"), ("/hosts", "name")):
        shown = page.ask(f"{path}?sort={chosen}").text
        assert f'<option value="{chosen}" selected>' in shown and shown.count(" selected>") == 1
        assert page.ask(f"/api/v1{path}?sort={chosen}").status == 200
    most = max(json.loads(page.ask("/api/v1/groups").text)["groups"], key=lambda group: group["hosts"])
    assert most["hosts"] > 1 and first("/groups?sort=hosts", "/groups/").endswith(most["signature"])
    names = [host["host"] for host in json.loads(page.ask("/api/v1/hosts?sort=name").text)["hosts"]]
    assert names == sorted(names) and urlencode({"host": names[0]}) in first("/hosts?sort=name", "/host?")
    for path in ("/groups?sort=days", "/api/v1/hosts?sort=hosts"):
        assert page.ask(path).status == 400


def test_crashes_of_one_host_over_time(page):
    answer = page.ask("/groups?host=db-04.example.net")
    assert answer.status == 200 and "sysrq triggered crash" in answer.text.lower() and "<svg" in answer.text


def test_a_host_has_a_page(page):
    hosts = Markup(page.ask("/hosts").text)
    name = urlencode({"host": HOSTILE})
    assert f"{page.base}/host?{name}" in hosts.links()
    shown = Markup(page.ask("/host?host=db-03.example.net").text)
    assert "panicked" in shown.text and "eth0" in shown.text and "6.1.0-56-amd64" in shown.text
    records = [link for link in shown.links() if link.startswith(f"{page.base}/records/")]
    assert len(set(records)) == 4 and "mlx_poll" in shown.text and "sysrq triggered crash" in shown.text
    assert page.ask("/host?host=nobody").status == 404 and page.ask("/host").status == 404
    assert page.ask("/host?host=").status == 404


def test_hostile_text_stays_text(page):
    (record,) = rows(page, "?since=25s&type=panic") or rows(page, "?since=1h&type=panic&search=onerror")
    for path in (
        *VIEWS,
        f"/host?{urlencode({'host': HOSTILE})}",
        f"/records/{record}",
        f"/?search={HOSTILE.encode().hex()}",
    ):
        shown = Markup(page.ask(path).text)
        scripts = [attrs for tag, attrs in shown.elements if tag == "script"]
        ours = [f"{page.base}/static/{name}.js?0.1.0" for name in ("live", "copy")]
        assert scripts == [{"src": src, "defer": None} for src in ours[: len(scripts)]]
        assert not [attrs for tag, attrs in shown.elements if tag == "img" and attrs["src"] == "x"]
        assert "\x1b" not in shown.text and "\u202e" not in shown.text
    assert "<script>alert(1)</script>" in Markup(page.ask("/").text).text
    link = next(link for link in Markup(page.ask("/").text).links() if "script" in link)
    assert unquote_plus(link).endswith(f"host={HOSTILE}")
    assert len(rows(page, link[len(page.base) + 1 :])) == 1


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=60))
def test_what_is_asked_for_comes_back_as_text(page, text):
    """It stands in the form and in the error; neither becomes markup."""
    for name in ("search", "host", "since"):
        quoted = "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))
        answer = page.ask(f"/?{name}={quoted}")
        assert answer.status in (200, 400), answer.text
        shown = Markup(answer.text)
        assert len([tag for tag, _ in shown.elements if tag == "script"]) == 1
        if name == "search" and answer.status == 200 and text.strip():
            (field,) = (attrs for tag, attrs in shown.elements if attrs.get("name") == "search")
            # HTML has no carriage return.
            assert (
                field["value"].split() == text.replace("\r", " ").replace("\0", "\ufffd").split()
                or "\0" in text
            )


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/records/000000000000", 404, "no record has an id"),
        ("/nothing-here", 404, "Not here"),
        ("/?type=blue", 400, "&#39;blue&#39; is not one of bye, hello"),
        ("/?colour=blue", 400, "there is no parameter"),
        ("/?host=a&host=b", 400, "host is given twice"),
        ("/?since=soon", 400, "neither an age such as 30m"),
        ("/static/..%2fpages.py", 404, "there is no"),
        ("/static/nothing.css", 404, "there is no"),
    ],
)
def test_errors_are_pages_with_sentences(page, path, status, words):
    answer = page.ask(path)
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert words in answer.text and "Traceback" not in answer.text
    Markup(answer.text)


def test_methods_that_are_not_there(page):
    answer = page.ask("/", "POST", b"x")
    assert answer.status == 405 and "GET" in answer.headers["allow"]
    assert page.ask("/", "HEAD").body == b""


def test_a_database_that_is_not_there_yet(tmp_path, serve, big):
    with website(tmp_path / "state") as site:
        assert site.ask("/healthz").status == 503
        answer = site.ask("/")
        assert answer.status == 503 and "start `panicast-receiver serve`" in Markup(answer.text).text
        receiver = serve()
        wait_until(lambda: "receiver runs" in Markup(site.ask("/").text).text)
        assert "panicast-receiver drill" in Markup(site.ask("/").text).text
        assert "No crashes yet" in Markup(site.ask("/groups").text).text
        assert "panicast-ctl doctor" in Markup(site.ask("/hosts").text).text
        receiver.send(big["frames"])
        receiver.wait_for("record ([0-9a-f]{12}) panic")
        assert "sysrq triggered crash" in site.ask("/").text
        assert site.ask("/healthz").text == "ok\n"
        assert receiver.stop() == 0
        assert "receiver does not run" in Markup(site.ask("/").text).text


def test_sigterm_ends_it(state):
    with website(state) as site:
        site.process.send_signal(signal.SIGTERM)
        assert site.process.wait(PATIENCE_S) == 0


def test_without_its_libraries_it_says_what_to_install(state):
    """And nothing else needs them."""
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['aiohttp', 'jinja2', 'prometheus_client']))\n"
        "from panicast_receiver import web\n"
        "from panicast_receiver.cli import main as cli\n"
        "web.find_spec = lambda name: None\n"
        "print(cli.main(['list', '--state-dir', sys.argv[1]]))\n"
        "print(cli.main(['web', '--state-dir', sys.argv[1]]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(state)], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.stdout.splitlines()[-2:] == ["0", "1"]
    assert "apt install python3-aiohttp python3-jinja2 python3-prometheus-client" in done.stderr
    assert "Traceback" not in done.stderr


def test_lines_of_a_crash():
    log = logtext.read(OOPS.encode())
    kinds = [line.kind for line in log.lines]
    assert kinds[:4] == [""] * 4 and kinds[4] == "complaint" and log.crash == 4
    assert kinds.count("frame") == 3 and kinds.count("doubtful") == 2 and kinds[-1] == "panic"
    assert log.lines[4].level == "alert" and log.lines[4].stamp == "[   92.100000][  T455] "


@given(st.binary(max_size=400))
def test_any_text_has_lines(text):
    log = logtext.read(text)
    assert len(log.lines) == max(1, text.removesuffix(b"\n").count(b"\n") + 1)
    assert {line.level for line in log.lines} <= {"", *KERNEL_LEVELS}


@given(
    st.dictionaries(st.integers(-5, 200), st.integers(1, 10**9), max_size=60),
    st.integers(0, 2 * 10**18),
    st.integers(10**13, 2 * 10**18),
)
def test_a_plot_stays_within_its_frame(counts, first, now):
    plot = timeline.plot(counts, timeline.scale(first, now))
    for bar in plot.bars:
        assert 0 <= bar.x <= plot.width - plot.bar and bar.y >= 0 and bar.y + bar.height == plot.height
    assert len(plot.bars) <= timeline.STRETCHES and (plot.bars or not counts)


def test_plots_that_share_a_scale_can_be_compared():
    scale = timeline.scale(0, 10**18)
    few, many = (timeline.plot({3: count}, scale, 40).bars[0].height for count in (20, 40))
    assert (2 * few, many) == (timeline.HEIGHT, timeline.HEIGHT)
    # One alone is still seen.
    assert 0 < timeline.plot({3: 1}, scale, 10**6).bars[0].height < few


@pytest.mark.parametrize("text", [b"\n" * (1 << 16), b"x" * (1 << 20), b"<6>a\n" * 150_000, b"", b"one\n"])
def test_a_long_text_is_shown_in_parts_of_which_none_is_lost(text):
    first = logtext.part(text, 1)
    parts = [logtext.part(text, number) for number in range(1, first.total + 1)]
    assert b"".join(part.data for part in parts) == text
    assert all(len(part.data) <= logtext.PART_BYTES for part in parts)
    assert all(part.data.count(b"\n") <= logtext.PART_LINES for part in parts)
    assert logtext.part(text, 9999) == parts[-1]


def test_a_part_knows_where_the_panic_is():
    text = b"<6>a\n" * 5000 + b"<0>Kernel panic - not syncing: x\n"
    assert [logtext.part(text, n).panic for n in (1, 3)] == [3, 3]
    assert logtext.read(logtext.part(text, 3).data).crash == 1000
    assert logtext.part(b"<6>a\n", 1).panic == 0
    # A page that is asked for no part opens where the panic is.
    assert logtext.part(text, None).number == 3 and logtext.part(b"<6>a\n" * 5000, None).number == 1


def test_a_record_opens_at_its_crash(page):
    (panic, _) = rows(page, "?host=db-03.example.net")
    for path in ("/", "/?type=panic"):
        links = Markup(page.ask(path).text).links()
        assert f"{page.base}/records/{panic}#crash" in links
    shown = Markup(page.ask(f"/records/{panic}").text)
    places = [attrs["id"] for tag, attrs in shown.elements if "id" in attrs and tag == "span"]
    assert places.count("crash") == 1 and places[0] == "L1"
    assert f"{page.base}/?host=db-03.example.net&type=panic" in Markup(page.ask("/hosts").text).links()
