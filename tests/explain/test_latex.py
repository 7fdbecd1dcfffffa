"""LaTeX and MathML: accepted by parsers that are not ours, for every function of the set."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import cache

import latex2mathml.converter
import pytest
from functions import cases
from matplotlib import mathtext
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from boxgrad.explain import latex
from boxgrad.explain.explanation import modelled
from boxgrad.explain.math import Math, math_of
from boxgrad.explain.naming import Names, written

CASES = {case.id: case for case in cases()}


@cache
def math(name: str, lang: str = "en") -> Math:
    return math_of(modelled(CASES[name].function, CASES[name].args), lang=lang)


@pytest.mark.parametrize("name", CASES)
def test_the_document_is_accepted_by_two_parsers(name: str) -> None:
    document = math(name).latex
    nodes, _, length = LatexWalker(document, tolerant_parsing=False).get_latex_nodes()
    assert length == len(document)
    (body,) = [node for node in nodes if isinstance(node, LatexEnvironmentNode)]
    assert body.environmentname == "document"
    for line in math(name).lines:
        made = latex2mathml.converter.convert(line.latex)
        assert "<math" in made
        assert "\\" not in re.sub(r"<[^>]*>", "", made), (
            line.latex
        )  # a command that it does not know stays as it is


@pytest.mark.parametrize("name", ["sigma(XW)", "two layers", "LSTM", "LayerNorm", "LeNet", "attention"])
def test_no_double_scripts(name: str) -> None:
    """What TeX refuses: a second subscript or superscript on one base."""
    for line in math(name).lines:
        flat = line.latex
        while re.search(r"\{[^{}]*\}", flat):
            flat = re.sub(r"\{[^{}]*\}", "§", flat)
        assert not re.search(r"_§\s*_", flat), line.latex
        assert not re.search(r"\^§\s*\^", flat), line.latex
        assert not re.search(r"\^§_§\^|_§\^§_", flat), line.latex


@pytest.mark.parametrize("name", ["sigma(XW)", "two layers", "chain of three"])
def test_matplotlib_draws_the_chain_rule(name: str) -> None:
    parser = mathtext.MathTextParser("path")
    for line in math(name).section("backward"):
        drawn = parser.parse(f"${line.latex}$", dpi=72)
        assert drawn.width > 0


@pytest.mark.parametrize("name", CASES)
def test_mathml_is_well_formed(name: str) -> None:
    for line in math(name).lines:
        root = ET.fromstring(line.mathml)
        assert root.tag == "math"
        for fraction in root.iter("mfrac"):
            assert len(fraction) == 2, line.text
        for script in [*root.iter("msub"), *root.iter("msup"), *root.iter("munder")]:
            assert len(script) == 2, line.text
        for script in [*root.iter("msubsup"), *root.iter("munderover")]:
            assert len(script) == 3, line.text


def test_values_can_be_linked_on_a_page() -> None:
    found = "".join(line.mathml for line in math("sigma(XW)").lines)
    assert 'data-k="X"' in found
    assert 'data-k="∂X"' in found


def test_known_formulas() -> None:
    lines = {line.text.partition(" = ")[0]: line.latex for line in math("sigma(XW)").section("backward")}
    assert lines["∂L/∂X"] == (
        r"\frac{\partial L}{\partial X} = \frac{\partial L}{\partial N}\,W^{\mathsf{T}}"
    )


def test_chinese_document_uses_ctex() -> None:
    document = math("sigma(XW)", "zh").latex
    assert r"\usepackage{ctex}" in document
    assert "链式法则" in document


def test_words_are_escaped() -> None:
    assert latex.escaped("a_b & 50%") == r"a\_b \& 50\%"
    assert latex.prose("∂L/∂W₁ has the shape of W₁") == (
        r"$\partial L/\partial W_{1}$ has the shape of $W_{1}$"
    )


@pytest.mark.parametrize(
    ("name", "base", "subscript"),
    [
        ("W1", "W", "1"),
        ("weight_0", "W", "0"),
        ("alpha", "α", ""),
        ("theta_1", "θ", "1"),
        ("h0", "h", "0"),
        ("weight_ih_l0", "W", "ih,l0"),
        ("in_proj_weight", "W", "in,proj"),
        ("_x", "x", ""),
        ("logits", "logits", ""),
    ],
)
def test_names(name: str, base: str, subscript: str) -> None:
    assert written(name) == (base, subscript)


def test_no_two_names_are_written_alike() -> None:
    names = Names([("W_1", ()), ("W1", ()), ("weight_1", ()), ("alpha", ()), ("α", ())])
    symbols = [names.symbol(name, ()) for name in ("W_1", "W1", "weight_1", "alpha", "α")]
    assert len({(symbol.base, symbol.subscript) for symbol in symbols}) == 5


def test_numbers_are_short() -> None:
    assert "1.5" in " ".join(line.text for line in math("chain of three").section("numbers"))


@pytest.mark.parametrize("name", CASES)
def test_a_plain_tex_engine_can_read_every_character(name: str) -> None:
    """Without a package for it TeX stops at a character outside of ASCII."""
    strange = {c for c in math(name).latex if not c.isascii()}
    assert strange == set()
