"""What stands around the statements of an emitted file: constants, functions it needs, tuples of names."""

from __future__ import annotations

import inspect
import re
import textwrap
from functools import cache, lru_cache
from typing import Any

import numpy as np

from boxgrad.explain import code_helpers
from boxgrad.explain.code_lines import WIDTH, Line, Page
from boxgrad.explain.code_terms import Term
from boxgrad.explain.code_text import dtype_text, shape_text

WRITTEN_OUT = 12
"""Captured arrays of so many elements are written in the code; larger ones are arguments of ``forward``."""


def defined_locally(page: Page, name: str) -> bool:
    """The name, if the page defines it before it reads it."""
    for line in page.lines:
        if name in line.reads:
            return False
        if name in defines(line.text):
            return True
    return False


@lru_cache(maxsize=8192)
def defines(text: str) -> frozenset[str]:
    """The names that a line assigns."""
    head, equals, _ = text.strip().partition(" = ")
    if not equals or not re.fullmatch(r"[\w, ]+", head):
        return frozenset()
    return frozenset(name.strip() for name in head.split(","))


def wrapped_tuple(before: str, names: list[str], after: str = "") -> str:
    """A tuple of names, over several lines if it is long."""
    inner = f"{names[0]}," if len(names) == 1 else ", ".join(names)
    short = f"{before}({inner}){after}" if not after or len(names) == 1 else f"{before}{inner}{after}"
    if len(short) <= 100:
        return short
    rows = ["        "]
    for name in names:
        if len(rows[-1]) + len(name) > 96:
            rows[-1] = rows[-1].rstrip()
            rows.append("        ")
        rows[-1] += f"{name}, "
    return "\n".join([f"{before}(", *(row.rstrip() for row in rows), f"    ){after}"])


def literal(written: str, array: Any) -> Term:
    return Term("text", (), written, array.shape, array.dtype)


def written_out(array: Any) -> str | None:
    """A small or regular array as Python, else None."""
    if not array.size:
        return f"np.zeros({shape_text(array.shape)}, {dtype_text(array.dtype)})"
    if (
        array.ndim == 1
        and array.size > 1
        and array.dtype.kind == "i"
        and np.array_equal(array, np.arange(len(array)))
    ):
        return f"np.arange({len(array)})"
    if array.ndim == 2 and array.shape[1] == 1 and len(array) > 1:
        column = written_out(array[:, 0])
        if column is not None and column.startswith("np.arange"):
            return f"{column}[:, np.newaxis]"
    if array.size and array.ndim and np.all(array == array.flat[0]) and array.flat[0] in (0, 1):
        return (
            f"np.{'ones' if array.flat[0] else 'zeros'}({shape_text(array.shape)}, {dtype_text(array.dtype)})"
        )
    if array.ndim == 2 and array.shape[0] == array.shape[1] and array.shape[0] > 1:
        if np.array_equal(array, np.tril(np.ones_like(array))):
            return f"np.tril(np.ones({shape_text(array.shape)}, {dtype_text(array.dtype)}))"
        if np.array_equal(array, np.eye(len(array))):
            return f"np.eye({len(array)}, dtype={dtype_text(array.dtype)})"
    if array.size <= WRITTEN_OUT and np.all(np.isfinite(array)):
        usual = array.dtype in (np.float64, np.int64, np.bool_)
        return f"np.array({array.tolist()!r}{'' if usual else ', ' + dtype_text(array.dtype)})"
    return None


# ---- the functions that the file needs
@cache
def helpers() -> dict[str, str]:
    """The text of each function of ``code_helpers`` by its name."""
    found = inspect.getmembers(code_helpers, inspect.isfunction)
    return {name: inspect.getsource(function).rstrip() for name, function in found}


def needed(text: str) -> list[str]:
    """The texts of the functions that a text calls, and those that these call, in the order of the module."""
    found: set[str] = set()
    stack = [text]
    while stack:
        current = stack.pop()
        for name, source in helpers().items():
            if name not in found and re.search(rf"(?<![\w.]){name}\b(?! =)[(,]", current):
                found.add(name)
                stack.append(source)
    order = inspect.getsource(code_helpers)
    return [helpers()[name] for name in sorted(found, key=lambda name: order.index(f"def {name}("))]


# ---- the file
def without_idle_steps(forward: Page, backward: Page) -> list[Line]:
    """The forward lines, less those that keep steps of a loop which nothing reads."""
    read = {name for line in backward.lines for name in line.reads}
    idle = re.compile(r"\s*(steps\w*)(?: = \[\]|\.append\(\))")
    kept: list[Line] = []
    for line in forward.lines:
        found = idle.fullmatch(line.text)
        if found is None or (found[1] in read and line.text.endswith("[]")):
            kept.append(line)
    return kept


def heading(name: str, arguments: list[str]) -> str:
    """The line that opens a function."""
    short = f"def {name}({', '.join(arguments)}):"
    if len(short) <= WIDTH:
        return short
    rows = textwrap.wrap(", ".join(arguments), WIDTH - 4, break_long_words=False)
    return "\n".join([f"def {name}(", *(f"    {row}" for row in rows), "):"])


def returned(gradients: dict[str, str]) -> str:
    """The last line: the gradient of each argument by its name."""
    pairs = [f'"{name}": {gradient}' for name, gradient in gradients.items()]
    short = f"    return {{{', '.join(pairs)}}}"
    if len(short) <= WIDTH:
        return short
    return "\n".join(["    return {", *(f"        {pair}," for pair in pairs), "    }"])


def assembled(
    title: str,
    own: list[str],
    parameters: dict[str, Any],
    forward: list[Line],
    backward: list[Line],
    result: str,
    saved: list[str],
    gradients: dict[str, str],
) -> list[Line]:
    """All lines of a file, numbered; ``own`` are functions of the user's. Without gradients, no backward."""
    body = "\n".join([*own, *(line.text for line in (*forward, *backward)), *gradients.values()])
    functions = [*needed(body), *own]
    rows = [f'"""{title}"""']
    if functions or "np." in body:
        rows += ["", "import numpy as np"]
    for source in functions:
        rows += ["", "", *source.splitlines()]
    rows += ["", "", heading("forward", list(parameters))]
    for name, value in parameters.items():
        array = np.asarray(value)
        kind = f" {dtype_text(array.dtype)}" if array.dtype != np.float64 else ""
        rows.append(f"    # {name}: {shape_text(array.shape)}{kind}")
    lines = [*map(Line, rows), *forward]
    if gradients:
        rows = [
            wrapped_tuple("    saved = ", saved),
            f"    return {result}, saved",
            "",
            "",
            "def backward(saved):",
        ]
        if saved:
            rows.append(wrapped_tuple("    ", saved, " = saved"))
        lines += [*map(Line, rows), *backward, Line(returned(gradients))]
    else:
        lines.append(Line(f"    return {result}"))
    number = 1
    for line in lines:
        line.number = number
        number += line.text.count("\n") + 1
    return lines
