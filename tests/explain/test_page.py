"""The page of an explanation, in headless Chromium: it loads, steps, opens, switches, lights up, prints."""

from __future__ import annotations

import re

import functions
import numpy as np
import pytest

import boxgrad as bg
from boxgrad import nn
from browser import Browser, count, load, settled, text

X = np.array([[0.42, -1.15, 0.73], [1.28, 0.36, -0.54], [-0.87, 0.61, 1.09]])
W = np.array([[0.94, -0.58], [-0.31, 1.22], [0.67, -0.46]])


@bg.boxed
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loss(X, W):
    N = X @ W
    S = sigmoid(N)
    L = np.sum(S)
    return L


def lenet():
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    ).initialise(0)  # fmt: skip

    def error(model, x, y):
        return nn.cross_entropy(model(x), y)

    x = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    return bg.explain(error, model, x, np.array([3, 7]))


@pytest.fixture(scope="module")
def explanation():
    return bg.explain(loss, X, W)


@pytest.fixture(scope="module")
def file(explanation, tmp_path_factory):
    return explanation.save(tmp_path_factory.mktemp("page") / "loss.html")


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


@pytest.fixture
def page(browser, file):
    browser.size(1440, 1000)
    load(browser, file, "step=9&theme=light")
    yield browser
    assert browser.messages == []


# ---- the file
def test_the_page_needs_no_network(explanation):
    page = explanation.page
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1998/Math/MathML"}
    assert not re.search(r"<link|<script src|@import|url\(http", page)
    assert len(page) < 400_000


def test_the_page_can_be_read_without_a_script(explanation):
    static = explanation.page.partition('<script type="application/json"')[0]
    for part in ("<svg", "<math", "dL_dN", "Mathematics", "Backward: the chain rule"):
        assert part in static


def test_names_cannot_end_the_script():
    def f(x):
        y = np.sum(x)
        return y

    f.__name__ = "</script><b>"
    page = bg.explain(f, X).page
    assert page.count("</script>") == 2


# ---- stepping
def test_it_loads_at_the_end_and_everything_is_known(page):
    assert text(page, "#number").endswith("step 9 of 9")
    assert count(page, ".wait") == 0
    assert count(page, ".stop") == 9


def test_keys_walk_through_the_steps(page):
    page.key("Home")
    assert text(page, "#number") == "Forward · step 1 of 9"
    assert count(page, "#canvas .wait") > 10
    page.key("ArrowRight")
    assert text(page, "#say").startswith("Multiply: each row of X meets each column of W")
    assert page.evaluate("document.querySelector('#canvas .val[data-k=N]').classList.contains('now')")
    assert page.evaluate("location.hash").startswith("#step=2&")
    page.key("End")
    page.key("ArrowLeft")
    assert text(page, "#number") == "Backward · step 8 of 9"
    rows = "[...document.querySelectorAll('.row.now')].map((e) => e.dataset.row)"
    assert set(page.evaluate(rows)) == {"∂X"}
    assert "dL_dX" in text(page, ".ln.now")


def test_it_plays_and_pauses(page):
    page.evaluate("document.activeElement.blur()")
    page.key(" ")
    assert page.evaluate("state.timer > 0 && state.at === 0")
    assert page.evaluate("document.getElementById('play').getAttribute('aria-label')") == "Pause"
    page.key(" ")
    assert page.evaluate("state.timer === 0")


def test_buttons_and_stops_can_be_clicked(page):
    page.click("#previous")
    assert text(page, "#number") == "Backward · step 8 of 9"
    page.click("[data-go='3']")
    assert text(page, "#number") == "Forward · step 4 of 9"
    page.click("#next")
    assert text(page, "#say").startswith("Turn around.")


# ---- pointing
def test_a_value_lights_up_in_all_three_views(page):
    page.hover(".row[data-row='∂N'] math [data-k='∂N']")
    lit = "[...document.querySelectorAll('.hl')]"
    assert page.evaluate(f"{lit}.every((e) => e.dataset.k === '∂N')")
    for view in ("#canvas", "math", "pre"):
        assert page.evaluate(f"{lit}.some((e) => e.closest('{view}'))"), view
    page.hover("h1")
    page.hover(".subtitle")
    assert count(page, ".hl") == 0


def test_an_element_shows_its_row_its_column_and_its_numbers(page):
    page.hover("[data-c='∂X,1,1']")
    sources = page.evaluate("[...document.querySelectorAll('.src')].map((e) => e.dataset.c)")
    assert set(sources) == {"∂N,1,0", "∂N,1,1", "W,1,0", "W,1,1"}
    said = text(page, "#say")
    assert "0.2195·(−0.31) + 0.2498·1.22" in said
    assert said.endswith("≈ 0.2367")


@pytest.mark.parametrize(
    ("cell", "sources", "said"),
    [
        ("N,0,1", {"X,0,0", "X,0,1", "X,0,2", "W,0,1", "W,1,1", "W,2,1"}, "0.42·(−0.58)"),
        ("S,0,0", {"N,0,0"}, "sigmoid(1.24)"),
        ("∂N,2,1", {"∂S,2,1", "N,2,1"}, "sigmoid′(0.7474)"),
        ("∂W,0,0", {"X,0,0", "X,1,0", "X,2,0", "∂N,0,0", "∂N,1,0", "∂N,2,0"}, "0.42·0.174"),
        ("X,0,0", set(), "0.42"),
    ],
)
def test_how_elements_came_about(page, cell, sources, said):
    page.hover(f"[data-c='{cell}']")
    assert set(page.evaluate("[...document.querySelectorAll('.src')].map((e) => e.dataset.c)")) == sources
    assert said.replace("sigmoid", "σ") in text(page, "#say").replace("sigmoid", "σ")


def test_how_a_formula_was_made_simple_can_be_opened(browser, tmp_path):
    def f(x, y):
        L = np.mean((x - y) ** 2)
        return L

    found = bg.explain(f, X[0], X[1])
    load(browser, found.save(tmp_path / "page.html"), "theme=light")
    steps = (
        "[...document.querySelectorAll('.row[data-row=\"∂x\"] .how li')].filter((e) => e.checkVisibility())"
    )
    assert browser.evaluate(f"{steps}.length") == 0
    browser.click(".row[data-row='∂x'] .how summary")
    (line,) = [line for line in found.math.section("backward") if line.mark == "∂x"]
    assert browser.evaluate(f"{steps}.length") == len(line.derivation()) >= 2
    assert "multiplying by 1 changes nothing" in browser.evaluate(f"{steps}.map((e) => e.innerText).join()")
    assert line.text in found.math.steps
    browser.click("[data-lang=zh]")
    assert "乘 1 不变" in browser.evaluate(f"{steps}.map((e) => e.innerText).join()")
    assert browser.messages == []


# ---- opening, language, light, narrow screens, paper
def test_a_box_opens_and_closes_with_keys_and_clicks(page):
    box = "#canvas [data-box='2']"
    assert page.evaluate(f"document.querySelector(\"{box}\").getAttribute('aria-expanded')") == "false"
    page.click(box)
    settled(page, "en right 2")
    assert text(page, "#number").endswith("of 15")
    assert count(page, ".stop") == 15
    assert page.evaluate(f"document.querySelector(\"{box}\").getAttribute('aria-expanded')") == "true"
    assert "open=2" in page.evaluate("location.hash")
    page.key("Enter")
    settled(page, "en right")
    assert text(page, "#number").endswith("of 9")


def test_the_language_switches(page):
    page.click("[data-lang=zh]")
    settled(page, "zh right")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert page.evaluate("document.title") == "loss(X, W) 的梯度：三种讲法"
    seen = page.evaluate("document.body.innerText")
    for word in ("公式", "反向：链式法则", "第 9 步，共 9 步", "每个梯度都与它所属的值形状相同"):
        assert word in seen
    assert "矩阵乘" in text(page, "#canvas")
    assert "Backward" not in seen
    page.click("[data-lang=en]")
    settled(page, "en right")
    assert "反向" not in page.evaluate("document.body.innerText")


def test_light_and_dark(page):
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    paper = "getComputedStyle(document.querySelector('#canvas .box rect')).fill"
    light = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) != light
    assert page.evaluate(paper) == page.evaluate(ground)
    assert "theme=dark" in page.evaluate("location.hash")


def test_the_address_gives_the_state(browser, file):
    load(browser, file, "step=3&lang=zh&theme=dark&open=2")
    assert text(browser, "#number") == "前向 · 第 3 步，共 15 步"
    assert browser.evaluate("document.documentElement.dataset.theme") == "dark"
    assert browser.evaluate("document.getElementById('canvas').dataset.name") == "zh right 2"
    assert browser.messages == []


def test_narrow_screens_stack_and_the_diagram_runs_down(browser, file):
    browser.size(400, 800)
    load(browser, file)
    settled(browser, "en down")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 400
    top = "document.getElementById('heading-code').getBoundingClientRect().top"
    bottom = "document.getElementById('heading-math').parentNode.getBoundingClientRect().bottom"
    assert browser.evaluate(f"{top} >= {bottom}")
    assert browser.messages == []
    browser.size(1440, 1000)


def test_what_can_be_pressed_has_a_name_and_can_be_reached(page):
    unnamed = (
        "[...document.querySelectorAll('button, input, [role=button], [role=img]')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim()))"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert page.evaluate(unnamed) == []
    for selector in ("#canvas .val", "#canvas [role=button]", ".row[data-row]"):
        assert page.evaluate(f"document.querySelector('{selector}').tabIndex") == 0


def test_it_prints_light_and_whole(page, tmp_path):
    page.click("#theme")
    page.key("Home")
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    page.command("Emulation.setEmulatedMedia", media="print")
    hidden = "getComputedStyle(document.querySelector('.walk')).display"
    assert page.evaluate(hidden) == "none"
    page.command("Emulation.setEmulatedMedia", media="")
    assert text(page, "#number") == "Forward · step 1 of 9"


# ---- larger models
def test_lenet_fits_and_its_boxes_open(browser, tmp_path):
    found = lenet()
    path = found.save(tmp_path / "lenet.html")
    assert path.stat().st_size < 2_000_000
    load(browser, path, "step=3")
    assert browser.evaluate("document.getElementById('fit').hidden") is False
    browser.evaluate("toggle('4')")
    settled(browser, "en right 4")
    browser.evaluate("toggle('1')")
    settled(browser, "en right 1")
    browser.click("#fit")
    canvas = "document.getElementById('canvas')"
    assert browser.evaluate(f"{canvas}.scrollWidth <= {canvas}.clientWidth + 1")
    assert browser.messages == []


def test_a_long_loop_is_folded(browser, tmp_path):
    def rnn(W, U, xs):
        h = np.zeros(2)
        for x in xs:
            h = np.tanh(h @ W + x @ U)
        return np.sum(h**2)

    random = np.random.default_rng(0)
    found = bg.explain(
        rnn, random.normal(size=(2, 2)), random.normal(size=(3, 2)), random.normal(size=(40, 3))
    )
    path = found.save(tmp_path / "rnn.html")
    assert path.stat().st_size < 500_000
    load(browser, path)
    assert browser.evaluate("steps.length") < 40
    assert count(browser, ".ln:not([hidden])") < 60
    assert browser.messages == []


def test_a_failure_is_drawn_up_to_the_box_that_failed(browser, tmp_path):
    def f(X, W):
        N = X @ W
        return np.sum(N @ W)

    with pytest.raises(bg.ShapeError) as caught:
        bg.explain(f, X, W)
    load(browser, caught.value.explanation.save(tmp_path / "page.html"))
    assert "do not fit" in text(browser, ".failure")
    assert count(browser, "#canvas .failed") == 1
    browser.key("Home")
    assert browser.messages == []


# ---- every function of the acceptance set
ARITHMETIC = """
(() => {
  const wrong = [];
  let checked = 0;
  for (const [mark, formula] of Object.entries(data.formulas)) {
    const [shape, values] = data.numbers[mark];
    values.forEach((value, n) => {
      const index = unflat(n, shape);
      const text = arithmetic(formula, index, [])
        .replace(/·/g, '*').replace(/−/g, '-').replace(/<sup>/g, '**(').replace(/<\\/sup>/g, ')')
        .replace(/10\\*\\*/g, '1e1**').replace(/√\\(/g, 'Math.sqrt(').replace(/\\bexp\\(/g, 'Math.exp(')
        .replace(/\\b(tanh|log|sin)\\(/g, 'Math.$1(');
      if (/[^-\\d\\s.()*/+]/.test(text.replace(/Math\\.\\w+|1e1/g, ''))) return;  // a function with a name
      let found;
      try {
        found = eval(text.replace(/(^|[(*/+ -])-([^()*/+ ]+)\\*\\*/g, '$1-1*$2**'));
      } catch {
        return void wrong.push(`${mark}: ${text}`);
      }
      checked += 1;
      const terms = text.match(/\\d[\\d.]*/g).map(Number);
      const size = Math.max(...terms, Math.abs(value), 1);
      const right = Math.abs(found - value) <= 5e-3 * size * size;
      if (!right) wrong.push(`${mark} [${index}]: ${text} = ${found}, not ${value}`);
    });
  }
  return [checked, wrong.slice(0, 5)];
})()
"""


def test_every_function_has_a_page_whose_arithmetic_is_right(browser, tmp_path):
    checked = 0
    for case in functions.cases():
        path = bg.explain(case.function, *case.args).save(tmp_path / "page.html")
        assert path.stat().st_size < 2_000_000, case.id
        load(browser, path)
        browser.key("Home")
        browser.key("ArrowRight")
        assert browser.evaluate("steps.every((step) => data.say[step.say])"), case.id
        number, wrong = browser.evaluate(ARITHMETIC)
        assert wrong == [], case.id
        assert browser.messages == [], case.id
        checked += number
    assert checked > 1500
