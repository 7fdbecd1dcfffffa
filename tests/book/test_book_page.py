"""Pages of the book in headless Chromium: they load, switch, turn, light up, fit, print."""

from __future__ import annotations

import pytest

from boxgrad.book import build, find
from browser import Browser

LOADED = "document.documentElement.dataset.theme"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    build(folder, chosen=[find(number) for number in ("1", "12", "13", "14")])
    return folder


@pytest.fixture(scope="module")
def browser():
    with Browser(1280, 900) as one:
        yield one


@pytest.fixture
def page(browser, folder):
    browser.size(1280, 900)
    browser.open(folder / "en" / "13-backward-pass.html", "theme=light")
    yield browser
    assert browser.messages == []


def count(browser: Browser, selector: str) -> int:
    return browser.evaluate(f"document.querySelectorAll({selector!r}).length")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "name",
    ["index", "en/index", "zh/index", "en/01-functions", "zh/12-two-matrices", "zh/14-linear-regression"],
)
def test_pages_load_and_fit(browser, folder, name, width):
    browser.size(width, 900)
    browser.open(folder / f"{name}.html")
    assert browser.messages == []
    assert browser.evaluate(LOADED) in ("light", "dark")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("document.querySelector('h1').getBoundingClientRect().height") > 20


def test_the_switch_leads_to_the_same_place_in_the_other_language(page):
    assert page.evaluate("getComputedStyle(document.querySelector('.note .zh')).display") == "none"
    page.evaluate("document.getElementById('part-2').scrollIntoView()")
    page.follow("document.querySelector('[data-switch]').click()")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("location.href").endswith("zh/13-backward-pass.html#part-2")
    assert page.evaluate("getComputedStyle(document.querySelector('.note .en')).display") == "none"


def test_light_and_dark(page):
    assert page.evaluate(LOADED) == "light"
    light = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.click("#theme")
    assert page.evaluate(LOADED) == "dark"
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") != light
    assert "theme=dark" in page.evaluate("document.querySelector('[data-walk]').href")
    page.evaluate("localStorage.clear()")


def test_a_value_lights_up_in_all_three_views(page):
    page.hover(".mathematics [data-k='S']")
    for view in ("mathematics", "diagram", "code"):
        assert count(page, f".{view} .hl[data-k='S']") > 0
    page.hover("h1")
    assert count(page, ".hl") == 0


def test_steps_have_the_numbers_of_the_diagram(page):
    numbers = page.evaluate(
        "[...document.querySelectorAll('.mathematics .row.bwd .no')].map((e) => e.textContent)"
    )
    assert numbers[:5] == ["5", "6", "7", "8", "9"]


def test_arrow_keys_turn_the_page(page):
    press = "document.body.dispatchEvent(new KeyboardEvent('keydown', {{key: '{}', bubbles: true}}))"
    page.follow(press.format("ArrowRight"))
    assert page.evaluate("location.href").endswith("14-linear-regression.html")
    page.follow(press.format("ArrowLeft"))
    assert page.evaluate("location.href").endswith("13-backward-pass.html")
    page.evaluate(
        "document.querySelector('pre').focus(); document.activeElement"
        ".dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}))"
    )
    page.evaluate("new Promise((r) => setTimeout(r, 50))")
    assert page.evaluate("location.href").endswith("13-backward-pass.html")  # it scrolls what has the focus


def test_the_page_to_step_through_has_the_same_language(page, folder):
    page.open(folder / "zh" / "13-backward-pass.html", "theme=dark")
    address = page.evaluate("document.querySelector('[data-walk]').href")
    assert address.endswith("walks/13-backward-pass-1.html#step=1&lang=zh&theme=dark")
    page.follow("document.querySelector('[data-walk]').click()")
    ready = "document.documentElement.dataset.ready"
    page.evaluate(f"(async () => {{ while (!{ready}) await new Promise((r) => setTimeout(r, 10)) }})()")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


def test_narrow_screens_have_diagrams_that_run_down(page):
    shown = "[...document.querySelectorAll('.canvas')].map((e) => getComputedStyle(e).display)"
    assert page.evaluate(shown) == ["block", "none"]
    page.size(390, 844)
    assert page.evaluate(shown) == ["none", "block"]


def test_it_prints(page, tmp_path):
    file = tmp_path / "page.pdf"
    page.pdf(file)
    assert file.read_bytes().startswith(b"%PDF")
    assert file.stat().st_size > 20_000
