"""The web page in a real browser: live, by mouse and by keyboard, in the dark, on a phone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import PASSWORDS, Served
from tests.support import Daemon, wait_until

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (the extra dev has it)"
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("default"),
]

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
]  # fmt: skip

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}


class Browser:
    """Chromium, with everything that went wrong in it."""

    def __init__(self, engine: Any, served: Served, pictures: Path) -> None:
        self._engine = engine
        self._served = served
        self.pictures = pictures
        self.wrong: list[str] = []

    @contextlib.contextmanager
    def page(
        self,
        who: str = "admin",
        size: dict[str, int] = DESK,
        scheme: str = "light",
        path: str = "/",
        *,
        breaks: bool = False,
    ) -> Iterator[Any]:
        """Open the page as somebody; it is live when this yields.

        `breaks`: some requests may fail, as they do when the daemon is gone.
        """
        context = self._engine.new_context(
            viewport=size, color_scheme=scheme, reduced_motion="reduce",
            http_credentials={"username": who, "password": PASSWORDS[who]},
        )  # fmt: skip
        page = context.new_page()
        ours = f"http://127.0.0.1:{self._served.port}/"
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        known = "Failed to load resource" if breaks else "\0"
        page.on("console", lambda m: self._expect(m.type != "error" or known in m.text, m.text))
        page.on("request", lambda r: self._expect(r.url.startswith(ours), r.url))
        page.set_default_timeout(20_000)
        try:
            page.goto(f"{ours.rstrip('/')}{path}")
            page.wait_for_selector("#link.up")
            yield page
        finally:
            context.close()

    def _expect(self, good: bool, text: str) -> None:
        if not good:
            self.wrong.append(text)


@pytest.fixture(scope="module")
def browser(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with playwright.sync_playwright() as driver:
        engine = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=60_000)
        made = Browser(engine, served, tmp_path_factory.mktemp("pictures"))
        yield made
        engine.close()
    assert made.wrong == []


def state(page: Any, name: str) -> str:
    """Return the state that the table shows for a process."""
    return str(page.inner_text(f"tr[data-name='{name}'] .badge"))


def shown(page: Any) -> list[str]:
    """Return the names of the processes that are to be seen."""
    return [str(n) for n in page.eval_on_selector_all(
        "tr.row", "rows => rows.filter(r => r.offsetParent).map(r => r.dataset.name)"
    )]  # fmt: skip


def test_the_table_is_live(browser: Browser, served: Served) -> None:
    with browser.page() as page:
        names = ["cat", "colours", "fatal", "manual", "odd", "web:web_0", "web:web_1"]
        assert shown(page) == names
        assert (state(page, "fatal"), state(page, "manual")) == ("FATAL", "STOPPED")
        assert "exit 3" in page.inner_text("tr[data-name=fatal] .what")
        assert page.title().startswith("(1) ")
        served.daemon.call("start", names=["manual"])
        page.wait_for_selector("tr[data-name=manual] .badge.ok")
        served.daemon.call("stop", names=["manual"])
        page.wait_for_selector("tr[data-name=manual] .badge.quiet")
        page.click("#feed summary")
        assert "manual" in page.inner_text("#changes li")


def test_buttons_do_what_they_say(browser: Browser, served: Served) -> None:
    with browser.page("operate") as page:
        page.click("tr[data-name=manual] [data-verb=start]")
        page.wait_for_selector("tr[data-name=manual] .badge.ok")
        pid = served.daemon.status("manual")["pid"]
        page.click("tr[data-name=manual] [data-verb=restart]")
        page.click("#dialog-yes")
        wait_until(lambda: served.daemon.status("manual")["pid"] not in (None, pid))
        page.click("tr[data-name=manual] [data-verb=stop]")
        page.click("#dialog-yes")
        page.wait_for_selector("tr[data-name=manual] [data-verb=start]")
        assert served.daemon.wait_state("manual", "STOPPED")
        before = {n: served.daemon.status(n)["pid"] for n in ("web:web_0", "web:web_1")}
        page.click("tr.group [data-verb=restart]")
        page.click("#dialog-yes")
        wait_until(lambda: all(
            served.daemon.status(n)["pid"] not in (None, pid) for n, pid in before.items()
        ))  # fmt: skip
        assert not page.is_visible("#apply")


def test_nothing_stops_at_one_click_or_key(browser: Browser, served: Served) -> None:
    pids = {n: served.daemon.status(n)["pid"] for n in ("cat", "web:web_0", "web:web_1")}
    with browser.page("operate") as page:
        for ask in ("tr[data-name=cat] [data-verb=stop]", "tr.group [data-verb=stop]"):
            page.click(ask)
            assert page.is_visible("#dialog")
            page.keyboard.press("Enter")  # the answer that has the focus changes nothing
            page.wait_for_selector("#dialog", state="hidden")
        page.click("tr.group [data-verb=restart]")
        assert "web:web_1" in page.inner_text("#dialog-body"), "who is meant"
        page.keyboard.press("Escape")
        page.focus("tr[data-name=cat]")
        for key in "xr":
            page.keyboard.press(key)
            assert f"pid {pids['cat']}" in page.inner_text("#dialog-body")
            page.keyboard.press("n")
            page.wait_for_selector("#dialog", state="hidden")
        page.keyboard.press("x")
        page.keyboard.press("y")
        served.daemon.wait_state("cat", "STOPPED")
        page.keyboard.press("s")
        served.daemon.wait_state("cat", "RUNNING")
    after = {n: served.daemon.status(n)["pid"] for n in pids}
    assert {n for n in pids if after[n] == pids[n]} == {"web:web_0", "web:web_1"}


def test_the_gateway_that_serves_the_page_is_protected(browser: Browser, served: Served) -> None:
    web = served.daemon.status("web:web_1")

    def answer(route: Any) -> None:
        about = served.get("/api/v1/daemon").json()
        route.fulfill(json={**about, "gateway": {"fullname": "web:web_1", "run": web["run"]}})

    with browser.page("admin") as page:
        page.route("**/api/v1/daemon", answer)
        page.reload()
        page.wait_for_selector("tr[data-name='web:web_1'] [data-verb=stop]", state="detached")
        page.focus("tr[data-name='web:web_1']")
        page.keyboard.press("x")
        page.wait_for_selector("#alarms .bad")
        assert "served by web:web_1" in page.inner_text("#alarms")
        page.click("tr.group [data-verb=stop]")
        assert "web:web_1 serves this page and is left out" in page.inner_text("#dialog-body")
        page.keyboard.press("y")
        served.daemon.wait_state("web:web_0", "STOPPED")
        page.click("tr.group [data-verb=start]")
        served.daemon.wait_state("web:web_0", "RUNNING")
    assert served.daemon.status("web:web_1")["pid"] == web["pid"]


def test_who_may_only_look_has_no_buttons(browser: Browser) -> None:
    with browser.page("view") as page:
        assert page.query_selector_all("[data-verb]") == []
        page.click("tr[data-name=cat]")
        page.wait_for_selector("#detail:not([hidden])")
        assert page.query_selector_all("[data-verb]") == []


def test_a_log_has_colours_follows_and_is_searched(browser: Browser, served: Served) -> None:
    with browser.page() as page:
        page.click("tr[data-name=colours]")
        page.wait_for_selector(".log .f1")
        assert page.inner_text(".log .f1") == "red"
        assert (
            page.eval_on_selector(".log .f1", "e => getComputedStyle(e).color")
            == "rgb(179, 25, 26)"
        )
    with browser.page() as page:
        with page.expect_response("**/log/**"):
            page.click("tr[data-name=cat]")
        served.daemon.call(
            "send",
            name="cat",
            text="one\n\x1b]0;title\x07two <b>bold</b>\n\x1b[38;5;196mthree\x1b[m\n",
        )
        page.wait_for_selector(".log div:nth-child(3)")
        assert page.inner_text(".log").split("\n")[:3] == ["one", "two <b>bold</b>", "three"]
        page.fill("#grep", "T")
        wait_until(lambda: page.inner_text("#hits") == "2 lines")
        assert page.is_hidden(".log div:nth-child(1)")
        assert page.evaluate("CSS.highlights.get('hits').size") == 2
        page.fill("#grep", "")
        served.daemon.call("send", name="cat", text="".join(f"line {n}\n" for n in range(300)))
        wait_until(lambda: "line 299" in page.inner_text(".log"))
        wait_until(lambda: page.evaluate(BELOW) < 5, what="it follows")


def test_what_is_invisible_in_a_log_is_spelled_out(browser: Browser) -> None:
    with browser.page() as page:
        page.click("tr[data-name=odd]")
        page.wait_for_selector(".log div:nth-child(3)")
        assert page.inner_text(".log").split("\n") == ["a\\x07b\\u202ec", "2 of 2", "ac"]
        page.keyboard.press("2")
        page.wait_for_selector(".log-empty:not([hidden])")
        assert "stderr is empty" in page.inner_text("#panel")


def test_why_and_runs(browser: Browser) -> None:
    with browser.page() as page:
        page.click("tr[data-name=fatal]")  # what has failed opens on why
        page.wait_for_selector(".story")
        assert "no database" in page.inner_text(".story")
        page.click("#tab-runs")
        page.wait_for_selector(".runs td .badge.bad")
        assert "exit 3" in page.inner_text(".runs")


def test_the_keyboard_is_enough(browser: Browser, served: Served) -> None:
    with browser.page() as page:
        press = page.keyboard.press
        press("/")
        page.keyboard.type("manu")
        wait_until(lambda: shown(page) == ["manual"])
        press("Escape")
        press("Escape")
        page.focus("tr[data-name=fatal]")
        press("j")
        assert page.evaluate("document.activeElement.dataset.name") == "manual"
        press("s")
        page.wait_for_selector("tr[data-name=manual] .badge.ok")
        press("Enter")
        page.wait_for_selector("#detail:not([hidden])")
        press("4")
        page.wait_for_selector(".runs")
        assert page.url.endswith("#manual/runs")
        press("x")
        press("y")
        page.wait_for_selector("#badge.quiet")
        press("Escape")
        assert page.is_hidden("#detail")
        assert page.evaluate("document.activeElement.dataset.name") == "manual"
        press("?")
        assert page.is_visible("#dialog kbd")
        press("Escape")
        assert page.is_hidden("#dialog")
    served.daemon.wait_state("manual", "STOPPED")


def test_the_table_is_one_stop_of_the_tab_key(browser: Browser) -> None:
    focused = "document.activeElement.dataset.name || document.activeElement.dataset.group || ''"
    with browser.page() as page:
        assert page.locator("tbody [tabindex='0']:is(tr)").count() == 1
        page.focus("tr[data-name=odd]")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.verb") == "stop"
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowDown")
        assert page.evaluate(focused) == "web"
        page.keyboard.press("ArrowLeft")
        wait_until(lambda: "web:web_0" not in shown(page))
        assert page.get_attribute("tr.group", "aria-expanded") == "false"
        page.reload()
        page.wait_for_selector("#link.up")
        page.wait_for_selector("tr.group[aria-expanded=false]")
        page.fill("#find", "web_1")  # a search looks into what is closed
        wait_until(lambda: shown(page) == ["web:web_1"])
        page.fill("#find", "")
        page.focus("tr.group")
        page.keyboard.press("Enter")
        wait_until(lambda: "web:web_0" in shown(page))
        page.keyboard.press("End")
        assert page.evaluate(focused) == "web:web_1"
        roles = "[...document.querySelectorAll('#table, #table *')].map(e => e.role)"
        found = set(page.evaluate(roles))
        assert found >= {"treegrid", "rowgroup", "row", "columnheader", "gridcell"}


def test_the_table_is_ordered_by_what_is_used(browser: Browser) -> None:
    with browser.page() as page:
        page.wait_for_selector("tr[data-name=odd] td.mem:not(:empty)")
        assert page.get_attribute("tr[data-name=odd] td.mem", "title") == "2 processes"
        page.wait_for_selector("tr.group td.mem:not(:empty)")
        page.click("th[data-sort=state] button")
        wait_until(lambda: shown(page)[0] == "fatal")
        assert page.get_attribute("th[data-sort=state]", "aria-sort") == "ascending"
        assert page.locator("tr.group").count() == 0, "who is beside whom is another order"
        page.click("th[data-sort=state] button")
        wait_until(lambda: shown(page)[-1] == "fatal")
        page.select_option("#sort", "memory")
        wait_until(lambda: shown(page)[-2:] == ["fatal", "manual"])
        page.click("th[data-sort=name] button")
        wait_until(lambda: shown(page)[0] == "cat")
        page.set_viewport_size({"width": 1280, "height": 260})
        page.evaluate("document.getElementById('list').scrollTop = 200")
        top = "document.querySelector('thead').getBoundingClientRect().top"
        list_top = "document.getElementById('list').getBoundingClientRect().top"
        wait_until(lambda: page.evaluate(f"{top} - {list_top}") == 0, what="the head stays")


def test_back_leads_to_the_table(browser: Browser) -> None:
    with browser.page(size=PHONE) as page:
        page.click("tr[data-name=cat] .name")
        page.wait_for_selector("#detail:not([hidden])")
        page.click("#tab-why")
        page.go_back()
        page.wait_for_selector("#detail", state="hidden")
        page.wait_for_selector("tr[data-name=cat]")
        page.go_forward()
        page.wait_for_selector("#detail:not([hidden])")
        assert page.inner_text("#name") == "cat"
        page.click("#close")
        page.wait_for_selector("#detail", state="hidden")
        assert page.url.endswith("/")


def test_a_mistake_in_the_configuration_is_told_with_its_place(
    browser: Browser, served: Served
) -> None:
    good = served.daemon.config.read_text()
    number = len(good.splitlines()) + 3
    try:
        served.daemon.config.write_text(f'{good}\n[program.bad]\nstartsecs = "soon"\n')
        with browser.page(breaks=True) as page:
            page.click("#apply")
            page.wait_for_selector("#alarms .details")
            said = page.inner_text("#alarms")
            assert f"supervisor.toml:{number}: program.bad.startsecs: expected a duration" in said
            page.keyboard.press("Escape")
            page.wait_for_selector("#alarms .bad", state="detached")
    finally:
        served.daemon.config.write_text(good)


def test_a_dead_daemon_leaves_grey_rows_with_their_age(browser: Browser, served: Served) -> None:
    """Then the next one is there, and the page goes on, its log too."""
    served.daemon.call("send", name="cat", text="before\n")
    with browser.page(breaks=True) as page:
        page.click("tr[data-name=cat]")
        page.get_by_text("before").wait_for()
        green = page.evaluate(f"getComputedStyle({BADGE}).color")
        with dead(served.daemon):
            stale(page, green)
        page.wait_for_selector("#link.up")
        page.wait_for_selector("body:not(.stale)")
        page.wait_for_selector("tr[data-name=cat] [data-verb=stop]")
        page.keyboard.press("1")
        served.daemon.call("send", name="cat", text="after\n")
        page.get_by_text("after", exact=True).wait_for()


@contextlib.contextmanager
def dead(daemon: Daemon) -> Iterator[None]:
    """Kill the daemon; the next one is there at the end."""
    assert daemon.process is not None
    daemon.process.kill()
    daemon.process.wait()
    try:
        yield
    finally:
        daemon.start()


def stale(page: Any, green: str) -> None:
    """Find that the page shows nothing as if it were true now."""
    page.wait_for_selector("body.stale")
    page.wait_for_selector("#link.down")
    page.get_by_text("cannot reach the daemon").first.wait_for()
    assert page.evaluate(f"getComputedStyle({BADGE}).color") != green
    assert "s ago: pid" in page.inner_text("tr[data-name=cat] .what")
    assert "s ago: pid" in page.inner_text("#about")
    assert not page.is_visible("tr[data-name=cat] [data-verb=stop]")
    page.keyboard.press("x")
    page.wait_for_selector("#alarms .bad")
    assert "cannot be done now" in page.inner_text("#alarms")
    page.keyboard.press("3")
    page.wait_for_selector(".failure")


def test_a_changed_password_asks_to_sign_in_again(browser: Browser) -> None:
    with browser.page(breaks=True) as page:
        refuse = {"status": 401, "body": "a name and a password are needed\n"}
        page.route("**/api/v1/usage", lambda route: route.fulfill(**refuse))
        page.wait_for_selector("#banner button")
        assert "signed out" in page.inner_text("#banner")
        assert page.evaluate("document.body.classList.contains('stale')")
        page.unroute("**/api/v1/usage")
        page.click("#banner button")
        page.wait_for_selector("#link.up")
        assert page.is_visible("#out")


def test_states_filter_the_table(browser: Browser) -> None:
    with browser.page() as page:
        page.click("#states [data-state=FATAL]")
        wait_until(lambda: shown(page) == ["fatal"])
        page.click("#states [data-state=STOPPED]")
        wait_until(lambda: shown(page) == ["fatal", "manual"])


def test_a_link_leads_to_a_process(browser: Browser) -> None:
    with browser.page(path="/#web%3Aweb_1/why") as page:
        page.wait_for_selector(".story")
        assert page.inner_text("#name") == "web:web_1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_everything_can_be_read(browser: Browser, size: dict[str, int], scheme: str) -> None:
    with browser.page(size=size, scheme=scheme) as page:
        for step in ("list", "detail"):
            if step == "detail":
                page.click("tr[data-name=fatal] .name")
                page.click("#tab-why")
                page.wait_for_selector(".story")
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, "nothing is cut off at the side"
            assert page.evaluate(CUT) == [], "how long a process is up can be read, too"
            faint = page.evaluate(CONTRAST)
            assert faint == [], faint
            page.screenshot(path=browser.pictures / f"{step}-{size['width']}-{scheme}.png")
        small = page.evaluate(
            "[...document.querySelectorAll('button')]"
            ".filter(b => b.offsetParent && b.offsetHeight < 26).map(b => b.outerHTML)"
        )
        assert small == []


def test_the_theme_can_be_chosen(browser: Browser) -> None:
    with browser.page(scheme="dark") as page:
        assert page.get_attribute("html", "data-theme") == "dark"
        page.click("#theme")
        assert page.get_attribute("html", "data-theme") == "light"
        page.reload()
        assert page.get_attribute("html", "data-theme") == "light"


BADGE = "document.querySelector('tr[data-name=cat] .badge')"

# Rows of running processes whose text does not fit beside the details.
CUT = """[...document.querySelectorAll("tr.row")].filter((tr) => {
  const what = tr.querySelector(".what");
  return tr.offsetParent && tr.querySelector(".badge.ok") && what.scrollWidth > what.clientWidth;
}).map((tr) => tr.textContent)"""

# How much of a log is below what is to be seen, in pixels.
BELOW = """(() => {
  const panel = document.getElementById("panel");
  return panel.scrollHeight - panel.scrollTop - panel.clientHeight;
})()"""


# Every text that is to be seen has a contrast of 4.5 : 1 to what is behind it (WCAG 2, AA).
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = (v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (colour) => { const f = colour.slice(0, 3).map(linear);
    return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const faint = [];
  for (const e of document.querySelectorAll("body *")) {
    if (!e.offsetParent || e.disabled) continue;
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    if (e.closest("[disabled], .sr, .skip, noscript")) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const text = e.textContent.slice(0, 30);
    if (ratio < 4.5) faint.push(`${e.tagName}.${e.className} ${text} ${ratio.toFixed(2)}`);
  }
  return faint;
}"""
