"""SVG, DOT and Mermaid of diagrams: well-formed, complete, marked so that a page can link them."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
import zlib
from base64 import b64decode
from typing import Any

import numpy as np
import pytest
from functions import Case, cases

from boxgrad.explain.diagram import Diagram, diagram_of
from boxgrad.explain.explanation import modelled
from boxgrad.explain.pictures import exponent, levels, numbers, picture_of
from boxgrad.explain.steps import paths
from boxgrad.explain.svg import svg

CASES = cases()
BY_ID = {case.id: case for case in CASES}
NAMESPACE = "{http://www.w3.org/2000/svg}"


def drawn(case: Case, **options: Any) -> Diagram:
    return diagram_of(modelled(case.function, case.args), **options)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_every_value_and_box_is_there_once(case: Case) -> None:
    diagram = drawn(case)
    root = ET.fromstring(diagram.svg)
    assert root.find(f"{NAMESPACE}title") is not None
    assert root.find(f"{NAMESPACE}desc") is not None
    width, height = map(float, root.attrib["viewBox"].split()[2:])
    assert width == pytest.approx(diagram.document.width, abs=0.1)
    assert height == pytest.approx(diagram.document.height, abs=0.1)
    keys = [element.attrib["data-k"] for element in root.iter() if "data-k" in element.attrib]
    assert len(keys) == len(set(keys))
    boxes = [element.attrib["data-box"] for element in root.iter() if "data-box" in element.attrib]
    assert len(boxes) == len(set(boxes))
    folded = any(figure.kind == "folded" for figure in diagram.document.boxes)
    if not folded:
        assert set(boxes) == {path for path, _ in paths(diagram.model.boxes) if "." not in path}
    marks = {mark for step in diagram.steps for mark in step.marks}
    steps = {element.attrib["data-s"] for element in root.iter() if "data-s" in element.attrib}
    assert marks <= steps
    for element in root.iter():
        if "data-k" in element.attrib:
            assert element.attrib["aria-label"]


def test_each_element_of_a_small_matrix_has_its_mark() -> None:
    root = ET.fromstring(drawn(BY_ID["sigma(XW)"]).svg)
    cells = {e.attrib["data-c"]: "".join(e.itertext()) for e in root.iter() if "data-c" in e.attrib}
    found = {key for key in cells if key.startswith("X,")}
    assert found == {f"X,{i},{j}" for i in range(3) for j in range(3)}
    X = BY_ID["sigma(XW)"].args[0]
    assert float(cells["X,1,2"].replace("−", "-")) == pytest.approx(X[1, 2], abs=5e-4)


def test_text_stays_text_and_no_colour_is_fixed_in_it() -> None:
    text = drawn(BY_ID["sigma(XW)"]).svg
    assert "product" in text
    assert "sigmoid" in text
    bare = svg(drawn(BY_ID["sigma(XW)"]).document, standalone=False)
    assert "<style>" not in bare
    assert not re.search(r'(fill|stroke)="#', bare)


def test_colours_for_light_and_dark() -> None:
    text = drawn(BY_ID["square"]).svg
    assert "--f:#0072b2" in text
    assert "--b:#d55e00" in text
    assert "prefers-color-scheme:dark" in text


def test_names_are_escaped() -> None:
    model = modelled(lambda x: np.sum(2 * x), (np.ones(2),))
    model.inputs[0].name = 'a<b&"c'
    root = ET.fromstring(diagram_of(model).svg)
    assert any(element.attrib.get("data-k") == 'a<b&"c' for element in root.iter())


def test_heat_maps_are_images_of_the_values() -> None:
    x = np.linspace(-1, 1, 8 * 9).reshape(8, 9)
    text = diagram_of(modelled(lambda x: np.sum(x**2), (x,))).svg
    data = b64decode(re.search(r"data:image/png;base64,([^\"]+)", text)[1])  # type: ignore[index]
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (9, 8)
    at = data.index(b"IDAT")
    size = struct.unpack(">I", data[at - 4 : at])[0]
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), np.uint8).reshape(8, 10)
    np.testing.assert_array_equal(rows[:, 1:], np.rint(31 * x) + 31)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((), "scalar"),
        ((3,), "cells"),
        ((3, 2), "cells"),
        ((40,), "heat"),
        ((16, 16), "heat"),
        ((4, 400), "summary"),
        ((2, 3, 8, 8), "tiles"),
    ],
)
def test_arrays_are_pictured_by_their_size(shape: tuple[int, ...], kind: str) -> None:
    assert picture_of(np.ones(shape), shape, dense=False).kind == kind


def test_numbers_are_short_and_share_their_power_of_ten() -> None:
    assert numbers(np.array([0.5, -1.25])) == ["0.500", "−1.250"]
    assert numbers(np.array([123.4, 1.0])) == ["123.4", "1.0"]
    tiny = np.array([1.5e-9, -2e-10])
    assert exponent(tiny) == -9
    assert numbers(tiny) == ["1.500", "−0.200"]
    assert numbers(np.array([-1e-5, 1.0])) == ["0.000", "1.000"]
    assert numbers(np.array([np.nan, 1.5])) == ["nan", "1.500"]
    np.testing.assert_array_equal(levels(np.array([np.inf, -2.0, 1.0])), [1.0, -1.0, 0.5])


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_dot_and_mermaid(case: Case) -> None:
    diagram = drawn(case)
    check_dot(diagram.dot, diagram)
    check_mermaid(diagram.mermaid, diagram)
    if diagram.closed:
        opened = diagram.opening(*diagram.closed)
        check_dot(opened.dot, opened)
        check_mermaid(opened.mermaid, opened)


_STRING = r'"(?:[^"\\]|\\.)*"'
_ATTRIBUTE = rf"\w+=(?:{_STRING}|\w+)"
_DOT = re.compile(
    rf"(rankdir=\w+;|(?:node|edge) \[{_ATTRIBUTE}(?:, {_ATTRIBUTE})*\];"
    rf"|{_STRING}(?: -> {_STRING})? \[{_ATTRIBUTE}(?:, {_ATTRIBUTE})*\];"
    rf"|subgraph {_STRING} \{{|label={_STRING}; style=dotted;|\}})$"
)


def check_dot(text: str, diagram: Diagram) -> None:
    """Statement by statement, and every edge between nodes that are declared."""
    assert text.startswith("digraph boxgrad {\n")
    joined = re.sub(r'"(?:[^"\\]|\\.)*"', lambda match: match[0].replace("\n", "\\n"), text)
    lines = [line.strip() for line in joined.splitlines()[1:]]
    depth = 1
    for line in lines:
        assert _DOT.match(line), line
        depth += line.endswith("{") - (line == "}")
    assert depth == 0
    nodes = set(re.findall(r'^\s*("[^"]+") \[', joined, re.M))
    edges = re.findall(r'^\s*("[^"]+") -> ("[^"]+")', joined, re.M)
    assert {end for edge in edges for end in edge} <= nodes
    assert len(edges) >= sum(len(unit.inputs) for unit in diagram.arrangement.units if unit.inside is None)


def check_mermaid(text: str, diagram: Diagram) -> None:
    """Line by line, and every link between nodes that are declared."""
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "flowchart LR"
    node = r'\w+(?:\[\["[^"]*"\]\]|\["[^"]*"\]|\(\["[^"]*"\]\)|\[/"[^"]*"/\])'
    link = r'(\w+) (?:-- "[^"]*" -->|-\. "[^"]*" \.->) (\w+)'
    known: set[str] = set()
    links = 0
    for line in lines[1:]:
        found = re.fullmatch(link, line)
        if found:
            assert {found[1], found[2]} <= known, line
            links += 1
        elif line.startswith("linkStyle"):
            numbered = [int(n) for n in line.split()[1].split(",")]
            assert max(numbered) < links
        elif line.startswith("subgraph"):
            assert re.fullmatch(r'subgraph \w+\["[^"]*"\]', line)
        elif line != "end":
            assert re.fullmatch(node, line), line
            known.add(re.match(r"\w+", line)[0])  # type: ignore[index]
    assert len(diagram.model.boxes) == 0 or links
