"""The lessons of the book: each runs, in both languages, and what it says is so."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

from boxgrad.book import LANGUAGES, find, lessons
from boxgrad.book.errors import BookError
from boxgrad.book.execute import Executed, execute
from boxgrad.book.lessons import CHAPTER, Lesson
from boxgrad.book.render import page_html
from boxgrad.explain.explanation import Explanation

NAMES = [lesson.name for lesson in lessons()]
NOTES = {"en": ("**A common mistake.**", "**Try it.**"), "zh": ("**常见错误。**", "**试一试。**")}
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)


@cache
def executed_lesson(name: str) -> Executed:
    return execute(find(name))


def prose(lesson: Lesson, lang: str) -> str:
    return FENCED.sub("", lesson.texts[lang])


def test_there_are_thirteen_lessons_of_the_chapter_and_six_about_networks():
    assert [lesson.number for lesson in lessons()] == list(range(1, 20))
    assert CHAPTER == 13
    assert [name.partition("-")[2] for name in NAMES[CHAPTER:]] == [
        "linear-regression", "digits", "convolution", "recurrent", "lstm", "gru",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_runs_and_its_views_are_right(name):
    executed = executed_lesson(name)
    printed = "\n".join(executed.printed)
    assert "False" not in printed
    assert not re.search(r"\b(nan|inf)\b", printed)
    for lang in LANGUAGES:
        page = page_html(executed, lang, lambda explanation: "walk.html")
        assert "<math" in page
        assert '<svg style="width' in page
        assert not re.search(r"<mrow[^>]*>[^<]", page)
        text = re.sub("<(pre|svg|math|code).*?</(pre|svg|math|code)>", "", page, flags=re.S)
        assert not re.search(r"[$]|\{\{|\*\*|```", text)
    explained = [value for value in executed.values.values() if isinstance(value, Explanation)]
    assert explained
    for explanation in explained:
        _, gradients = explanation.code.run()
        model = explanation.model
        assert set(gradients) == {value.name for value in model.wrt}
        for value in model.wrt:
            np.testing.assert_allclose(gradients[value.name], value.gradient.value, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_teach_the_same(name):
    lesson = find(name)
    assert lesson.programs  # and they do not differ, or this raises
    inline = {lang: re.findall(r"\{\{.*?\}\}", prose(lesson, lang)) for lang in LANGUAGES}
    assert sorted(inline["en"]) == sorted(inline["zh"])
    headings = {lang: len(re.findall("^## ", prose(lesson, lang), re.M)) for lang in LANGUAGES}
    assert headings["en"] == headings["zh"] > 0
    for lang in LANGUAGES:
        assert any(note in lesson.texts[lang] for note in NOTES[lang])
        assert any(block.kind == "explain" for block in lesson.blocks[lang])
    assert 150 <= len(prose(lesson, "en").split()) <= 350
    assert 200 <= len(re.findall("[\u4e00-\u9fff]", prose(lesson, "zh"))) <= 500


@pytest.mark.parametrize("name", NAMES)
def test_chinese_is_set_as_chinese(name):
    text = re.sub(r"`[^`]*`|\$[^$]*\$|\*\*", "", prose(find(name), "zh"))
    assert not re.search("[\u4e00-\u9fff][,;:?!()]", text)
    assert not re.search("[,;:?!()][\u4e00-\u9fff]", text)
    assert not re.search("[\u4e00-\u9fff]\n[\u4e00-\u9fff]", text), "a line break would be shown as a space"


# ---- statements that the text makes in words
def test_the_forgotten_transpose_is_refused_and_the_right_one_is_the_gradient():
    values = executed_lesson("13-backward-pass").values
    X, W, S = values["X"], values["W"], values["S"]
    slope = np.exp(-X @ W) / (1 + np.exp(-X @ W)) ** 2
    np.testing.assert_allclose(values["dX"], np.einsum("ij,kj->ik", slope, W), atol=1e-12)
    np.testing.assert_allclose(values["dW"], np.einsum("ki,kj->ij", X, slope), atol=1e-12)
    assert S.shape == (3, 2)
    assert "mismatch" in executed_lesson("13-backward-pass").printed[-1]


def test_the_product_of_row_and_column_has_transposes_as_derivatives():
    math = executed_lesson("10-dot-product").values["product"].math.text
    assert "∂N/∂X = Wᵀ" in math
    assert "∂N/∂W = Xᵀ" in math


def test_the_network_learns_and_the_regression_is_that_of_the_formula():
    assert executed_lesson("15-digits").values["accuracy"] > 0.95
    values = executed_lesson("14-linear-regression").values
    np.testing.assert_allclose([*values["w"].ravel(), values["b"]], values["best"].ravel(), atol=1e-3)
    assert values["factor"] == pytest.approx(442)
    assert values["exploded"] > 1e20


def test_what_is_said_of_convolutions_and_of_time():
    values = executed_lesson("16-convolution").values
    assert values["cosine"] < -0.9
    curves = executed_lesson("17-recurrent").values["curves"]
    assert curves[0.7][0] < 1e-3 * curves[0.7][-1]
    assert curves[1.2][0] > curves[1.2][-1]
    kept = [curve[0] / curve[-1] for curve in executed_lesson("18-lstm").values["curves"].values()]
    assert kept == sorted(kept)
    gru = executed_lesson("19-gru")
    assert gru.values["shares"][0] < 0.5 < 0.99 < gru.values["shares"][-1]
    assert "does not depend on Wu" in gru.printed[-1]
    assert "does not depend on Uu" in gru.printed[-1]


# ---- pages that are wrong
def lesson(en: str, zh: str | None = None) -> Lesson:
    head = "# Title\n\nLead.\n\n"
    return Lesson("99-example", {"en": head + en, "zh": head + (en if zh is None else zh)})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("```python\nx = 1\ny = 1 / 0\n```\n", ["example-1.py:2 (y = 1 / 0)", "ZeroDivisionError"]),
        ("```python\nx = 1\n```\n```python\nx +* 1\n```\n", ["example-2.py", "SyntaxError"]),
        ("```python raises\nx = 1\n```\n", ["example-1.py is meant to end with an error"]),
    ],
)
def test_a_program_that_fails_is_named(text, words):
    with pytest.raises(BookError) as caught:
        execute(lesson(text))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{nothing}}\n", "shows nothing"),
        ("```explain\nnothing\n```\n", "shows nothing"),
        ("```poem\nx\n```\n", "blocks of kind poem"),
    ],
)
def test_what_cannot_be_shown_is_named(text, words):
    with pytest.raises(BookError, match=words):
        page_html(execute(lesson(text)), "en", lambda _: None)


def test_an_option_that_is_not_known_is_named():
    program = "```python\nimport boxgrad as bg\ne = bg.explain(lambda x: x * x, 1.5)\n```\n"
    text = program + "```explain\ne\nsideways\n```\n"
    with pytest.raises(BookError, match="not sideways"):
        page_html(execute(lesson(text)), "en", lambda _: None)


def test_programs_may_differ_in_comments_only():
    first = "```python\nx = 1  # one\n```\n"
    assert len(lesson(first, "```python\n# 一\nx = 1\n```\n").programs) == 1
    with pytest.raises(BookError, match="99-example: the programs differ"):
        _ = lesson(first, "```python\nx = 2\n```\n").programs
    with pytest.raises(BookError, match="the programs differ"):
        _ = lesson(first, first + first).programs


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("4", "04-chain-rule"),
        ("04", "04-chain-rule"),
        ("chain", "04-chain-rule"),
        ("LSTM", "18-lstm"),
        ("rnn", "17-recurrent"),
        ("卷积", "16-convolution"),
        ("matri", "12-two-matrices"),
        ("13-backward-pass", "13-backward-pass"),
    ],
)
def test_lessons_are_found(wanted, name):
    assert find(wanted).name == name


@pytest.mark.parametrize(
    ("wanted", "lang", "words"),
    [
        ("poetry", "en", "there is no page 'poetry'"),
        ("20", "zh", "没有名为 '20' 的页面"),
        ("", "en", "there is no page"),
        ("链式", "zh", "有多个页面与 '链式' 相符"),
    ],
)
def test_lessons_that_are_not_there_or_are_several(wanted, lang, words):
    with pytest.raises(BookError, match=words):
        find(wanted, lang)


OPENS = """
import numpy as np
import boxgrad as bg

@bg.boxed
def twice(x):
    a = x + x
    return a

def f(x, w):
    n = x @ w
    y = np.sum(twice(n))
    return y

e = bg.explain(f, np.ones((2, 3)), np.ones((3, 2)))
"""


def test_options_choose_the_views_open_boxes_and_unfold():
    def shown(options: str) -> str:
        text = f"```python\n{OPENS}```\n```explain\ne\n{options}```\n"
        return page_html(execute(lesson(text)), "en", lambda _: "walk.html")

    whole = shown("")
    assert [f'class="view {name}"' in whole for name in ("mathematics", "diagram", "code")] == [True] * 3
    assert 'class="views beside"' in whole
    assert 'href="walk.html"' in whole
    drawn = shown("only: diagram\n")
    assert "<svg" in drawn
    assert "def backward" not in drawn.partition('class="views')[2]
    assert '<details class="fold" open>' not in whole
    assert '<details class="fold" open>' in shown("unfold\n")
    assert 'class="views"' in shown("stacked\n")
    assert shown("open: 2\n").count("data-box") > whole.count("data-box")
