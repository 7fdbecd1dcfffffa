"""Statements: a value, a sum of gradients, and writes into a part of an array."""

from __future__ import annotations

from boxgrad.explain.boxes import Box
from boxgrad.explain.code_lines import Page, names_in
from boxgrad.explain.code_terms import Term, negated, spread, stripped, total
from boxgrad.explain.code_text import shape_text, text
from boxgrad.graph.node import Node


def write(page: Page, name: str, term: Term, node: Node, value: str, box: Box | None) -> None:
    """``name = term``, with the shape; a write into an array is two lines."""
    comment = shape_text(node.shape) if node.shape else ""
    if term.op == "put":
        base, new, *indices = term.args
        key = term.data.format(*map(text, indices))
        page.add(f"{name} = {_fresh(base)}", value=value, box=box, reads=names_in(base), comment=comment)
        page.add(f"{name}[{key}] = {text(new)}", value=value, box=box, reads=names_in(new, *indices))
        return
    page.add(f"{name} = {text(term)}", value=value, box=box, reads=names_in(term), comment=comment)


def _fresh(term: Term) -> str:
    """A term as an array that nobody else holds."""
    inner = text(term)
    if term.op == "broadcast" and not term.args[0].shape:
        return inner
    if term.op in ("name", "index", "reshape", "transpose"):
        return f"{inner}.copy()"
    return f"{inner}.copy()" if term.op == "broadcast" else inner


def write_total(
    page: Page, name: str, terms: list[Term], node: Node, value: str, box: Box | None, fresh: bool = False
) -> None:
    """``name = sum of terms``; terms that go into a part of the array are written there."""
    comment = shape_text(node.shape) if node.shape else ""
    if any(x.op == "sum" and any(part.op in PLACED or part.op == "put" for part in x.args) for x in terms):
        terms = [part for x in terms for part in summands(x)]
    terms = sorted(terms, key=lambda x: x.op != "put")
    plain = [x for x in terms if x.op not in PLACED]
    placed = [x for x in terms if x.op in PLACED]
    if plain and plain[0].op == "put":
        write(page, name, plain[0], node, value, box)
        for x in terms[1:]:
            add_into(page, name, x, value, box)
        return
    summed = total([(x, 1) for x in plain], node.shape, node.dtype) if plain else None
    if summed is not None:
        written = _fresh(summed) if placed or fresh else text(summed)
        page.add(f"{name} = {written}", value=value, box=box, reads=names_in(summed), comment=comment)
    else:
        zeros = text(spread(Term("number", (), ("float", 0.0, None), (), node.dtype), node.shape))
        page.add(f"{name} = {zeros}", value=value, box=box, comment=comment)
    for x in placed:
        if summed is None and len(placed) == 1 and x.op == "embed":
            page.add(f"{name}[{x.data[0]}] = {text(x.args[0])}", value=value, box=box, reads=names_in(x))
        else:
            add_into(page, name, x, value, box)


PLACED = ("embed", "scatter_add")


def summands(x: Term) -> list[Term]:
    """The terms of a sum, each with its sign."""
    if x.op != "sum":
        return [x]
    return [part if sign > 0 else negated(part) for part, sign in zip(x.args, x.data, strict=True)]


def add_into(page: Page, name: str, term: Term, value: str, box: Box | None) -> None:
    """``name += term``, or into the part of it where the term belongs."""
    term = stripped(term)
    reads = names_in(term)
    if term.op == "embed":
        inner, sign = (negated(term.args[0]), "-") if is_minus(term.args[0]) else (term.args[0], "+")
        page.add(f"{name}[{term.data[0]}] {sign}= {text(inner)}", value=value, box=box, reads=reads)
    elif term.op == "scatter_add":
        key = term.data[0].format(*map(text, term.args[1:]))
        key = f"np.s_[{key}]" if ":" in term.data[0] else f"({key})" if "," in term.data[0] else key
        page.add(
            f"np.add.at({name}, {key}, {text(term.args[0])})",
            value=value,
            box=box,
            reads={*reads, name.partition("[")[0]},
        )
    elif is_minus(term):
        page.add(
            f"{name} -= {text(negated(term))}", value=value, box=box, reads={*reads, name.partition("[")[0]}
        )
    elif term.op == "sum" and any(part.op in PLACED for part in term.args):
        for part in summands(term):
            add_into(page, name, part, value, box)
    else:
        page.add(f"{name} += {text(term)}", value=value, box=box, reads={*reads, name.partition("[")[0]})


def is_minus(term: Term) -> bool:
    """Whether a term is a negative multiple."""
    return term.op == "product" and term.data[0] < 0
