"""Loops on the page of an explanation: folded and unrolled, in all views, by pointer and by keys."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from browser import Browser, count, load, settled, text


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


def scanned(h0, xs, U):
    def cell(h, x):
        h = np.tanh(h @ U + x)
        return h, h

    last, hs = bg.scan(cell, h0, xs)
    L = np.sum(hs**2) + np.sum(last)
    return L


def looped(h0, xs, U):
    h = h0
    for x in xs:
        h = np.tanh(h @ U + x)
    L = np.sum(h**2)
    return L


def recurrent(function, steps: int, **options):
    random = np.random.default_rng(3)
    sizes = [(2,), (steps, 2), (2, 2)]
    return bg.explain(function, *(random.normal(size=size) for size in sizes), **options)


def visible(browser: Browser, selector: str) -> list[str]:
    found = f"[...document.querySelectorAll({selector!r})].filter((e) => e.offsetParent)"
    return browser.evaluate(f"{found}.map((e) => e.dataset.row || e.textContent)")


@pytest.mark.parametrize("way", ["diagram", "formulas", "keys"])
def test_a_loop_unrolls_and_folds_in_all_views(browser, tmp_path, way):
    load(browser, recurrent(scanned, 5).save(tmp_path / "page.html"), "theme=light")
    folded = len(visible(browser, ".row"))
    assert "∂h[3]" not in visible(browser, ".row")
    box = "#canvas [data-box='1']"

    def press():
        if way == "diagram":
            browser.click(box)
        elif way == "formulas":
            browser.click(".row.fold button")
        else:
            browser.evaluate(f'document.querySelector("{box}").focus()')
            browser.key("Enter")

    press()
    settled(browser, "en right 1")
    assert {"h[1]", "h[3]", "∂h[1]", "∂h[3]"} <= set(visible(browser, ".row"))
    assert count(browser, "#canvas .box.closed") == 5
    toggles = "[...document.querySelectorAll('[data-toggle]')].map((e) => e.getAttribute('aria-expanded'))"
    assert set(browser.evaluate(toggles)) == {"true"}
    assert "open=1" in browser.evaluate("location.hash")
    press()
    settled(browser, "en right")
    assert len(visible(browser, ".row")) == folded
    assert set(browser.evaluate(toggles)) == {"false"}
    assert browser.messages == []


def test_an_unrolled_loop_walks_and_lights_up_step_by_step(browser, tmp_path):
    load(browser, recurrent(scanned, 5, unroll=True).save(tmp_path / "page.html"), "theme=light")
    assert browser.evaluate("document.getElementById('canvas').dataset.name") == "en right 1"
    browser.key("Home")
    said = []
    for _ in range(3):
        browser.key("ArrowRight")
        said.append(text(browser, "#say"))
        rows = "[...document.querySelectorAll('.row.now')].map((e) => e.dataset.row)"
        assert f"h[{len(said)}]" in browser.evaluate(rows)
    assert [each.partition(":")[0] for each in said] == ["t = 1", "t = 2", "t = 3"]
    browser.key("End")
    browser.hover(".row[data-row='∂h[3]'] math [data-k='∂h[3]']")
    lit = "[...document.querySelectorAll('.hl')]"
    assert browser.evaluate(f"{lit}.length") > 2
    assert browser.evaluate(f"{lit}.some((e) => e.closest('#canvas'))")
    numbers = [*map(int, browser.evaluate(
        "[...document.querySelectorAll('.ordered .row')].filter((e) => e.offsetParent)"
        ".map((e) => e.querySelector('.no').textContent).filter(Boolean)"
    ))]  # fmt: skip
    assert numbers == sorted(numbers)
    assert browser.evaluate("steps.every((step) => data.say[step.say])")
    browser.evaluate("document.querySelector(\"#canvas [data-box='1.2']\").focus()")
    browser.key("Enter")
    settled(browser, "en right 1,1.2")
    assert count(browser, "#canvas [data-box^='1.2.']") >= 2
    browser.click("[data-lang=zh]")
    settled(browser, "zh right 1,1.2")
    assert "− 折叠" in browser.evaluate("document.body.innerText")
    assert browser.messages == []


@pytest.mark.parametrize("function", [scanned, looped])
def test_a_long_loop_unrolled_shows_both_ends_and_says_so(browser, tmp_path, function):
    path = recurrent(function, 200).save(tmp_path / "page.html")
    assert path.stat().st_size < 1_000_000
    load(browser, path, "theme=light")
    browser.click(".row.fold button")
    name = browser.evaluate("[...state.open].join()")
    assert name
    settled(browser, f"en right {name}")
    assert "left out" in text(browser, "#canvas .elided")
    assert "left out" in browser.evaluate("document.querySelector('.two').innerText")
    assert browser.evaluate("document.querySelector('#canvas .elided').getAttribute('role')") == "img"
    assert browser.evaluate("steps.length") < 80
    assert len(visible(browser, ".row")) < 90
    browser.evaluate("playing(false), go(3)")
    assert browser.evaluate("steps.every((step) => data.say[step.say])")
    browser.click(".row.fold button")
    assert browser.evaluate("state.open.size") == 0
    assert browser.messages == []
