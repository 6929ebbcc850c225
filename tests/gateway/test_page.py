"""The web page in a real browser: live, by mouse and by keyboard, in the dark, on a phone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import PASSWORDS, Served
from tests.support import wait_until

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
    ) -> Iterator[Any]:
        """Open the page as somebody; it is live when this yields."""
        context = self._engine.new_context(
            viewport=size, color_scheme=scheme, reduced_motion="reduce",
            http_credentials={"username": who, "password": PASSWORDS[who]},
        )  # fmt: skip
        page = context.new_page()
        ours = f"http://127.0.0.1:{self._served.port}/"
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda m: self._expect(m.type != "error", m.text))
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
        assert shown(page) == ["cat", "colours", "fatal", "manual", "web:web_0", "web:web_1"]
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
        wait_until(lambda: served.daemon.status("manual")["pid"] not in (None, pid))
        page.click("tr[data-name=manual] [data-verb=stop]")
        page.wait_for_selector("tr[data-name=manual] [data-verb=start]")
        assert served.daemon.wait_state("manual", "STOPPED")
        before = {n: served.daemon.status(n)["pid"] for n in ("web:web_0", "web:web_1")}
        page.click("tr.group [data-verb=restart]")
        page.click("#dialog-yes")
        wait_until(lambda: all(
            served.daemon.status(n)["pid"] not in (None, pid) for n, pid in before.items()
        ))  # fmt: skip
        assert not page.is_visible("#apply")


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


def test_why_and_runs(browser: Browser) -> None:
    with browser.page() as page:
        page.click("tr[data-name=fatal]")
        page.click("#tab-why")
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
        page.wait_for_selector("#badge.quiet")
        press("Escape")
        assert page.is_hidden("#detail")
        assert page.evaluate("document.activeElement.dataset.name") == "manual"
        press("?")
        assert page.is_visible("#dialog kbd")
        press("Escape")
        assert page.is_hidden("#dialog")
    served.daemon.wait_state("manual", "STOPPED")


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
