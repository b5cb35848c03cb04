"""The page of `report` in a browser: no error, no request, its figures are its JSON, and anybody can use it.

AUTOSYNC_TEST_SCREENSHOTS names a folder for pictures of it: 390, 820 and 1440 pixels wide, light and dark, and a print.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from autosync_db.local.cluster import Cluster
from tests.report.conftest import HOSTILE
from tests.support import command, health, http_stub, tools

WIDTHS = (390, 820, 1440)
# what each figure of the page says, and whether the JSON has the same in its place
FIGURES = """() => {
    const json = JSON.parse(document.getElementById("figures").textContent);
    const at = (pointer) => pointer.split("/").slice(1).reduce((found, key) => found[key], json);
    const figure = (one) => [one.dataset.at, one.value, one.textContent, Number(one.value) === at(one.dataset.at)];
    return [...document.querySelectorAll("data[data-at]")].map(figure);
}"""


@dataclass
class Opened:
    """The page, with what the browser had to say about it."""

    browser: Browser
    page: Page
    address: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def evaluate(self, script: str) -> Any:
        """Return what a script finds in the page."""
        return self.page.evaluate(script)


@pytest.fixture(scope="module")
def opened(filled: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """One page, written once, in a browser that is started once."""
    program = tools.chromium()
    folder = tmp_path_factory.mktemp("page")
    with health.launcher_that_counts_as_settled():
        command.succeeds(command.run("report", "-o", "health.html", database=filled.url(), folder=folder))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        found = Opened(browser, page, (folder / "health.html").as_uri())
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(found.address)
        yield found
        browser.close()


def test_it_opens_without_an_error_or_a_request_and_hostile_text_is_text(opened: Opened) -> None:
    assert (opened.said, opened.asked) == ([], [opened.address])
    assert opened.evaluate("window.hit") is None
    assert opened.evaluate("document.images.length + document.querySelectorAll('script').length") == 2
    # its first part has nothing that is left out
    shown = opened.page.locator("body").inner_text()
    assert HOSTILE[:50] in shown
    assert "{{ 7 * 7919 }}" in shown
    # a text that turns its direction would turn what is beside it
    assert opened.evaluate("getComputedStyle(document.querySelector('bdi')).unicodeBidi") == "isolate"


def test_its_own_policy_forbids_it_every_connection(opened: Opened) -> None:
    page = opened.browser.new_page()
    page.goto(opened.address)
    with http_stub.serve() as stub:
        for script in (
            f"fetch('{stub.url}/x').then(() => 'sent', () => 'refused')",
            f"new Promise((done) => {{ const image = new Image(); image.onload = () => done('sent');"
            f" image.onerror = () => done('refused'); image.src = '{stub.url}/x.png' }})",
        ):
            assert page.evaluate(script) == "refused"
        page.evaluate(
            "{ const s = document.createElement('script'); s.text = 'window.hit = 1'; document.body.append(s) }"
        )
        assert page.evaluate("window.hit") is None
        assert stub.requests == []
    page.close()


def test_every_figure_is_that_of_its_json(opened: Opened) -> None:
    found = opened.evaluate(FIGURES)
    assert len(found) > 100
    assert [(at, value) for at, value, _, is_equal in found if not is_equal] == []
    # what is shown is the figure itself, or one with a unit
    plain = [(at, value, shown) for at, value, shown, _ in found if not at.endswith(("bytes", "_ms"))]
    assert [one for one in plain if one[1] != one[2].replace(",", "")] == []


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_nothing_keeps_anybody_from_using_it(opened: Opened, scheme: str) -> None:
    opened.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    # on every push without the rows of 96 checks, which take a second and are like each other
    folded = "details" if scheme == "dark" else "details:not(.layer)"
    opened.evaluate(f"for (const one of document.querySelectorAll('{folded}')) one.open = true")
    opened.evaluate(tools.axe().read_text())
    found = opened.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found["violations"]] == []
    opened.evaluate("for (const one of document.querySelectorAll('details')) one.open = false")
    opened.page.emulate_media(color_scheme="light")


def test_a_strip_is_reached_and_read_by_keyboard_by_tap_and_in_words(opened: Opened) -> None:
    page = opened.page
    strip = page.locator(".strip.day").first
    figures = json.loads(page.locator("#figures").text_content() or "")
    number = int(strip.get_attribute("data-job") or "")
    slots = {one["slot"]: one for one in figures["jobs"][number]["strips"]["day"]["slots"]}
    page.evaluate("document.activeElement.blur()")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.strip')"):
            break
    assert strip.evaluate("(one) => one === document.activeElement")
    assert strip.get_attribute("role") == "slider"
    page.keyboard.press("End")
    page.keyboard.press("PageUp")
    failing = max(slot for slot, one in slots.items() if one.get("failed") or one.get("no_call"))
    assert strip.get_attribute("aria-valuenow") == str(failing)
    said = strip.get_attribute("aria-valuetext") or ""
    assert f"{slots[failing]['failed']} failed" in said
    assert f"autosync-db runs show {slots[failing]['failed_id']}" in said
    line = page.locator("output").first
    assert line.inner_text() == said
    page.keyboard.press("ArrowRight")
    assert line.inner_text() != said
    box = strip.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * (failing + 0.5) / 96, box["y"] + 5)
    assert line.inner_text() == said
    # not by colour alone: what became of the calls is a height, too, and in words beside the strip
    kinds = {
        kind: page.locator(f".strip i.{kind}").first.evaluate("(one) => one.offsetHeight")
        for kind in ("mute", "part", "open")
    }
    assert len(set(kinds.values())) == 3
    assert f"{figures['jobs'][number]['strips']['day']['totals']['failed']} failed" in (
        page.locator(".counts").first.inner_text()
    )


@pytest.mark.long
def test_it_fits_every_width_and_paper(opened: Opened, tmp_path: Path) -> None:
    page = opened.page
    page.evaluate("document.activeElement.blur()")
    folder = Path(os.environ.get("AUTOSYNC_TEST_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 1000})
            assert page.evaluate("document.documentElement.scrollWidth") == width
            page.screenshot(path=folder / f"report-{width}-{scheme}.png", full_page=True)
    page.emulate_media(media="print", color_scheme="light")
    page.pdf(path=folder / "report.pdf", format="A4", print_background=True)
    assert page.locator("output").first.is_hidden()
    page.emulate_media(media="screen")
    assert {path.stat().st_size > 5000 for path in folder.glob("report*")} == {True}
