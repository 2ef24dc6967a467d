# SPDX-License-Identifier: GPL-2.0-or-later
"""The web page in a real browser: light, dark and narrow; live; by keyboard; without JavaScript.

Screenshots of every page are left among the logs in the pipeline's cache, to be looked at.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import oidc_provider_mock
import pytest
from selenium import webdriver
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
from selenium.webdriver import ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from panicast_build.core import tools
from panicast_build.core.paths import LOGS
from panicast_receiver import orders
from panicast_receiver.db import labels, schema
from panicast_receiver.records.labels import parse

from ..npm import installed
from ..unit.receiver.conftest import PATIENCE_S, VECTORS, Receiver
from ..unit.receiver.web.website import Website, fill, website

SHOTS = LOGS / "web"
WIDE, NARROW = 1280, 390
TALLEST = 2400
TOKEN = "a-token-of-more-than-20-characters"
# Of each text that is shown: how much it differs from what lies behind it, as WCAG 2 measures it.
CONTRAST = """
const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => {
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = colour.slice(0, 3).map((v) => linear(v / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return channels(getComputedStyle(document.body).backgroundColor);
};
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
  const one = light(channels(getComputedStyle(element).color)), other = light(behind(element));
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < 4.5) found.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
}
return found;
"""

# What axe finds, each with where it is; what it cannot tell for sure is left out.
AXE = """
const done = arguments[arguments.length - 1];
const told = (one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(" ")}`;
axe.run().then((found) => done(found.violations.map(told)), (error) => done([String(error)]));
"""

# What the window cuts off.
OUTSIDE = """
return [...document.querySelectorAll("input, select, textarea, button, td, h1, dd")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth)
  .map((element) => element.outerHTML.slice(0, 80));
"""

# Goes to the last record of the list, and says which it is.
READ_LAST = """
const last = [...document.querySelectorAll("tbody .what a")].at(-1);
last.focus();
return last.href;
"""


class Browser(webdriver.Chrome):
    """Headless Chromium."""

    def look(self, scheme: str, width: int, height: int = 900) -> None:
        """Be a window of that size on a desktop that is light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def scripts(self, on: bool) -> None:
        """Run JavaScript, or not."""
        self.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})

    def wait(self, true: Callable[[], object]) -> None:
        """Returns when it is, fails when that takes too long. Meanwhile the page may be half there."""
        not_yet = (StaleElementReferenceException, JavascriptException, IndexError)
        WebDriverWait(self, PATIENCE_S, ignored_exceptions=not_yet).until(lambda _: true())

    def texts(self, selector: str) -> list[str]:
        """What the elements say; of the page as it is in one moment."""
        found = "return [...document.querySelectorAll(arguments[0])].map((element) => element.innerText)"
        return list(self.execute_script(found, selector))

    def complaints(self) -> list[str]:
        """What the console holds, page by page: violations of the policy, scripts' errors."""
        return [entry["message"] for entry in self.get_log("browser")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    tools.need("chromium", "chromedriver")
    options = ChromeOptions()
    for flag in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    # Root has no sandbox in Chromium; what is opened is our own page.
    options.add_argument("--no-sandbox")
    options.binary_location = str(tools.find("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Browser(options=options, service=Service(str(tools.find("chromedriver"))))
    made.set_script_timeout(PATIENCE_S)
    try:
        yield made
    finally:
        made.quit()


@pytest.fixture
def page(browser: Browser) -> Browser:
    """The browser as it is when it starts."""
    browser.scripts(on=True)
    browser.look("light", WIDE)
    browser.get("about:blank")
    browser.complaints()
    return browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    """A page on a fleet with crashes, below a path."""
    state = tmp_path_factory.mktemp("state")
    fill(state)
    with website(state, "--web-base", "/panicast") as site:
        yield site


def record_of(page: Browser, site: Website, words: str) -> str:
    """The address of the record that says so."""
    page.get(site.url)
    links = page.find_elements(By.CSS_SELECTOR, "td.what a")
    return next(str(link.get_attribute("href")) for link in links if words in link.text)


@cache
def axe() -> str:
    """The source of axe-core."""
    return (installed(Path(__file__).parent, "axe") / "node_modules/axe-core/axe.min.js").read_text()


def look_at(page: Browser, name: str, scheme: str, width: int) -> None:
    """The page that is shown can be read and used by all, and fits the window; leaves a picture of it."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.execute_script(axe())
    assert page.execute_async_script(AXE) == [], name
    assert page.execute_script("return document.documentElement.scrollWidth") <= width, name
    assert page.execute_script(OUTSIDE) == [], name
    assert page.execute_script(CONTRAST) == [], name
    height = page.execute_script("return document.documentElement.scrollHeight")
    page.look(scheme, width, min(height, TALLEST))
    shot = SHOTS / f"{name}-{scheme}-{'wide' if width == WIDE else 'narrow'}.png"
    assert page.save_screenshot(str(shot)) and shot.stat().st_size > 5000


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)]
)
def test_pages_are_readable(page: Browser, site: Website, scheme: str, width: int) -> None:
    pages = {
        "records": site.url,
        "record": record_of(page, site, "mlx_poll"),
        "hostile": record_of(page, site, "script"),
        "crashes": f"{site.url}groups",
        "hosts": f"{site.url}hosts",
        "host": f"{site.url}host?host=db-03.example.net",
        "compare": f"{site.url}compare?sort=rate",
        "shares": f"{site.url}compare?by=firmware",
        "none": f"{site.url}?search=nothing-like-this",
        "login": f"{site.url}login",
    }
    for name, address in pages.items():
        page.look(scheme, width)
        page.get(address)
        look_at(page, name, scheme, width)
    ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground.strip("rgb()").split(","))) < 200) == (scheme == "dark")
    assert page.complaints() == []


def test_axe_finds_what_shuts_people_out(page: Browser, site: Website) -> None:
    """It looks at the page that is shown, with our policy for scripts."""
    page.get(site.url)
    page.execute_script("document.querySelector('main').append(document.createElement('input'))")
    page.execute_script(axe())
    (found,) = page.execute_async_script(AXE)
    assert found.startswith("label: ") and "<input>" in found


def test_it_works_without_javascript(page: Browser, site: Website) -> None:
    page.scripts(on=False)
    page.get(site.url)
    assert len(page.texts("tbody tr")) == 6
    page.find_element(By.NAME, "search").send_keys("PowerEdge", Keys.ENTER)
    page.wait(lambda: len(page.texts("tbody tr")) == 1)
    page.find_element(By.PARTIAL_LINK_TEXT, "mlx_poll").click()
    page.wait(lambda: "40 of" in page.find_element(By.CSS_SELECTOR, ".lead").text)
    page.find_element(By.LINK_TEXT, "Crashes").click()
    page.wait(lambda: len(page.find_elements(By.CSS_SELECTOR, "svg.plot")) == 4)
    page.find_element(By.LINK_TEXT, "Hosts").click()
    page.wait(lambda: "panicked" in page.texts("tbody .tag"))


def test_the_text_is_copied(page: Browser, site: Website) -> None:
    """Whole and as it arrived; where browsers let nobody copy, and without JavaScript, there is a link."""
    page.get(record_of(page, site, "mlx_poll"))
    origin = {"origin": "/".join(site.url.split("/")[:3])}
    page.execute_cdp_cmd(
        "Browser.grantPermissions",
        {**origin, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    page.find_element(By.CSS_SELECTOR, "button[data-copy]").click()
    page.wait(lambda: page.texts("#copied") == ["copied"])
    copied = page.execute_async_script("navigator.clipboard.readText().then(arguments[0], arguments[0])")
    assert copied == page.execute_async_script(
        "fetch(document.querySelector('a[download]').href).then((got) => got.text()).then(arguments[0])"
    )
    assert "mlx_poll" in copied and page.complaints() == []
    page.scripts(on=False)
    page.refresh()
    assert not page.find_element(By.CSS_SELECTOR, "button[data-copy]").is_displayed()
    assert page.find_element(By.LINK_TEXT, "As it arrived").is_displayed()


def test_by_keyboard(page: Browser, site: Website) -> None:
    page.get(site.url)
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the content"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "main"
    seen = []
    while "mlx_poll" not in (seen or [""])[-1] and len(seen) < 40:
        page.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(page.switch_to.active_element.text or "")
        outline = page.switch_to.active_element.value_of_css_property("outline-style")
        assert outline != "none", seen
    page.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait(lambda: page.texts("h1")[0].endswith("in mlx_poll"))


def test_records_come_live(page: Browser, tmp_path: Path) -> None:
    (frames,) = (
        [bytes.fromhex(frame) for frame in vector["frames"]]
        for vector in VECTORS
        if vector["name"] == "panic of many frames"
    )
    state = tmp_path / "state"
    receiver = Receiver(state)
    with contextlib.ExitStack() as stack:
        stack.callback(receiver.process.communicate)
        stack.callback(receiver.process.kill)
        site = stack.enter_context(website(state))
        page.get(site.url)
        assert page.texts(".empty h2") == ["No records yet"]
        page.wait(lambda: page.texts("#live-state") == ["live"])
        for number in (1, 2):
            receiver.send([frame[:24] + number.to_bytes(4, "big") + frame[28:] for frame in frames])
            page.wait(partial(lambda count: len(page.texts("tbody tr")) == count, number))
            assert "sysrq triggered crash" in page.texts("tbody tr")[0]
            # In one step: the rows are replaced whenever something comes.
            read = page.execute_script(READ_LAST)
        # What is understood late is told twice, and that of the first one may come with the second.
        page.wait(lambda: re.fullmatch("live: (1 record|[2-4] records) came", page.texts("#live-state")[0]))
        # The one that was read is still the one.
        receiver.send([frame[:24] + (3).to_bytes(4, "big") + frame[28:] for frame in frames])
        page.wait(lambda: len(page.texts("tbody tr")) == 3)
        assert page.execute_script("return document.activeElement.href") == read
        receiver.stop()
        page.get(site.url)
        assert page.texts(".receiver") == ["receiver does not run"]
        assert page.complaints() == []


@pytest.mark.filterwarnings("ignore:.*get_jwt_config:DeprecationWarning")
def test_a_person_logs_in_at_a_provider(page: Browser, tmp_path: Path) -> None:
    """It is another site to the browser: which cookies it sends on the way back is decided there."""
    state, client = tmp_path / "state", tmp_path / "client"
    fill(state)
    client.touch(0o600)
    client.write_text("panicast:a-secret")
    with oidc_provider_mock.run_server_in_thread(require_nonce=True) as server:
        issuer = f"http://localhost:{server.server_port}"
        with website(state, "--web-oidc", issuer, "--web-oidc-client", str(client)) as site:
            page.get(f"{site.url}hosts")
            look_at(page, "provider", "light", WIDE)
            page.find_element(By.PARTIAL_LINK_TEXT, "Log in at").click()
            page.wait(lambda: page.current_url.startswith(issuer))
            page.find_element(By.NAME, "sub").send_keys("ann", Keys.ENTER)
            page.wait(lambda: page.current_url == f"{site.url}hosts" and page.texts("tbody tr"))
            page.find_element(By.LINK_TEXT, "Crashes").click()
            page.wait(lambda: page.find_elements(By.CSS_SELECTOR, "svg.plot"))
            # The provider's own page has a look from elsewhere.
            assert [said for said in page.complaints() if site.url in said] == []


def private(token: Path) -> str:
    """The name of a file that has the token, and that nobody else may read."""
    token.touch(0o600)
    token.write_text(TOKEN)
    return str(token)


@contextlib.contextmanager
def operated(state: Path, token: Path) -> Iterator[Website]:
    """The page of a service that takes its orders, for who has the token."""
    with contextlib.ExitStack() as stack:
        stack.callback(orders.begin(state / schema.FILE_NAME))
        yield stack.enter_context(website(state, "--web-token-file", private(token)))


def test_filters_are_folded_on_a_telephone(page: Browser, site: Website) -> None:
    """Without JavaScript; what is chosen is said all the same. A wide window has them open."""
    for path, chosen in {"": "", "groups": "", "hosts?search=db-03": ": db-03", "compare": None}.items():
        page.scripts(on=False)
        page.look("light", WIDE)
        page.get(f"{site.url}{path}")
        form, fold = (page.find_element(By.CSS_SELECTOR, one) for one in (".filters", ".fold summary"))
        assert form.is_displayed() and not fold.is_displayed()
        page.look("light", NARROW)
        assert fold.is_displayed() and not form.is_displayed()
        assert fold.text == ("Choose" if chosen is None else f"Filters{chosen}")
        top = page.find_element(By.CSS_SELECTOR, "h1").rect["y"]
        assert fold.rect["y"] - top < 200 and fold.rect["height"] >= 32
        page.scripts(on=True)
        look_at(page, f"folded-{path.partition('?')[0] or 'records'}", "light", NARROW)
        page.scripts(on=False)
        page.look("light", NARROW)
        fold.send_keys(Keys.ENTER)
        assert form.is_displayed()
        fold.click()
        assert not form.is_displayed()
        fold.click()
        page.scripts(on=True)
        look_at(page, f"unfolded-{path.partition('?')[0] or 'records'}", "light", NARROW)


def test_a_token_is_asked_for_once(page: Browser, tmp_path: Path) -> None:
    fill(tmp_path / "state")
    with website(tmp_path / "state", "--web-token-file", private(tmp_path / "token")) as site:
        page.get(f"{site.url}hosts")
        page.find_element(By.NAME, "token").send_keys("wrong", Keys.ENTER)
        page.wait(lambda: page.texts("[role=alert]") == ["That is not the token."])
        page.find_element(By.NAME, "token").send_keys(TOKEN, Keys.ENTER)
        page.wait(lambda: page.texts("h1") == ["Hosts"])
        page.wait(lambda: page.texts("#live-state") == ["live"])
        page.find_element(By.CSS_SELECTOR, "footer button").click()
        page.wait(lambda: page.texts("h1") == ["Who may read?"])
        page.get(site.url)
        page.wait(lambda: page.texts("h1") == ["Who may read?"])


def test_a_group_is_worked_on(page: Browser, tmp_path: Path) -> None:
    """Without JavaScript, on a telephone, too; and readable as the other pages are."""
    state = tmp_path / "state"
    fill(state)
    with operated(state, tmp_path / "token") as site:
        page.scripts(on=False)
        page.get(f"{site.url}groups")
        page.find_element(By.NAME, "token").send_keys(TOKEN, Keys.ENTER)
        page.wait(lambda: page.texts("h1") == ["Crashes"])
        page.find_element(By.PARTIAL_LINK_TEXT, "sysrq triggered crash").click()
        page.wait(lambda: "What was decided" in page.texts("h2"))
        assert page.texts(".lead .tag") == ["open"]
        page.find_element(By.CSS_SELECTOR, "select[name=action] option[value=mute]").click()
        page.find_element(By.NAME, "by").send_keys("Ann")
        page.find_element(By.NAME, "detail").send_keys("7d")
        page.find_element(By.NAME, "note").send_keys("the vendor has it", Keys.TAB, Keys.ENTER)
        page.wait(lambda: page.texts(".lead .tag") == ["muted"])
        assert "the vendor has it" in page.texts("tbody tr")[0]
        assert page.find_element(By.NAME, "by").get_attribute("value") == "Ann"
        address = page.current_url
        page.scripts(on=True)
        for scheme, width in [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)]:
            page.look(scheme, width)
            page.get(address)
            look_at(page, "group", scheme, width)
        assert page.complaints() == []


def test_a_window_is_started_and_ended(page: Browser, tmp_path: Path) -> None:
    """Maintenance of hosts by a label; without JavaScript, and readable as the other pages are."""
    state = tmp_path / "state"
    fill(state)
    with contextlib.closing(schema.open_writer(state / schema.FILE_NAME)) as db:
        labels.put(db, parse("db-* owner='data base team'\ndb-03* rack=r12\nweb-* owner=web\n", "labels"))
    with operated(state, tmp_path / "token") as site:
        page.scripts(on=False)
        page.get(f"{site.url}hosts")
        page.find_element(By.NAME, "token").send_keys(TOKEN, Keys.ENTER)
        page.wait(lambda: page.texts("h1") == ["Hosts"])
        page.find_element(By.LINK_TEXT, "owner=data base team").click()
        page.wait(lambda: len(page.texts("tbody tr")) == 2)
        page.find_element(By.PARTIAL_LINK_TEXT, "maintenance").click()
        page.wait(lambda: page.texts("h1") == ["Maintenance"])
        page.find_element(By.NAME, "hosts").send_keys("rack=r12 web-*")
        page.find_element(By.NAME, "until").send_keys("4h")
        page.find_element(By.NAME, "by").send_keys("Ann")
        page.find_element(By.NAME, "note").send_keys("new switches", Keys.TAB, Keys.ENTER)
        page.wait(lambda: page.texts("tbody .tag") == ["now"])
        assert "new switches" in page.texts("tbody tr")[0]
        page.scripts(on=True)
        shown = {"maintenance": "maintenance", "labels": "hosts", "maintained": "host?host=db-03.example.net"}
        for scheme, width in [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)]:
            page.look(scheme, width)
            for name, path in shown.items():
                page.get(f"{site.url}{path}")
                look_at(page, name, scheme, width)
        assert "rack=r12" in page.texts(".same .tag")
        page.get(f"{site.url}maintenance")
        page.find_element(By.CSS_SELECTOR, "tbody button").click()
        page.wait(lambda: not page.texts("tbody tr"))
        assert page.complaints() == []
