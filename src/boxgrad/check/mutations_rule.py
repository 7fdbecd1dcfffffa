"""Mistakes inside a rule: one node of the local derivative is another one.

The rule is a graph like any other, so its one-edit neighbours can be made without knowing any primitive by
name: a node replaced by one of its inputs, a value by another of its shape, a number by another, an axis by
another, factors swapped, operators exchanged. What a neighbour is called follows from what was replaced:
something that depends on the gradient, on the forward pass, or on nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import Any

import numpy as np

from boxgrad.check.edits import Edit, Look
from boxgrad.check.mutations_edge import is_constant
from boxgrad.check.rule_parts import before, behaviour, plain, row_orders, spreads
from boxgrad.check.tape import Edge, Tape
from boxgrad.graph.node import Node
from boxgrad.graph.primitive import primitive_of

_ARITHMETIC = tuple(
    p for p in (primitive_of(f) for f in (np.add, np.subtract, np.multiply, np.divide)) if p is not None
)
"""The operators that are mistaken for each other."""
OTHERS = 8
"""How many other gradients are tried in place of the one that arrives."""
_ADDITIVE = _ARITHMETIC[:2]


class RuleEdits:
    """The edits of one edge's rule; ``near`` are the values that a person could mean instead of another."""

    def __init__(self, tape: Tape, edge: Edge, near: Sequence[Node], sizes: Sequence[int]) -> None:
        self.tape, self.edge, self.sizes = tape, edge, sizes
        self.near = near
        self.nodes = [*edge.fixed, *edge.moving]
        self.moving = {*edge.moving, *edge.leaves}
        self.paths = self._paths()

    def _paths(self) -> dict[Node, tuple[int, ...]]:
        """For each node of the rule the way to it from the result, the same in every copy of the line."""
        found: dict[Node, tuple[int, ...]] = {self.edge.root: ()}
        inside = set(self.nodes)
        for node in sorted(inside, key=lambda node: -node.number):
            path = found.get(node)
            if path is not None:
                for i, x in enumerate(node.inputs):
                    found.setdefault(x, (*path, i))
        return found

    def edits(self) -> Iterator[Edit]:
        """All of them."""
        for node in self.nodes:
            if node not in self.paths:
                continue
            if node.primitive is None:
                continue
            yield from self._inputs_for_node(node)
            yield from self._operator(node)
            yield from self._parameters(node)
            yield from self._masks(node)
            for position, x in enumerate(node.inputs):
                yield from self._operand(node, position, x)
        if self.edge.root in self.tape.of:
            yield from self._upstream(None, 0, self.edge.root)

    def _edit(
        self, kind: str, key: tuple[Any, ...], rank: float, node: Node | None, make: Any, detail: str = ""
    ) -> Edit:
        path = () if node is None else self.paths[node]
        return Edit(self.edge, kind, (*key, path), rank, make, node, detail)

    # ---- a node replaced by one of its inputs
    def _inputs_for_node(self, node: Node) -> Iterator[Edit]:
        moving = node in self.moving
        for position, x in enumerate(node.inputs):
            if moving and x not in self.moving:
                continue
            others = [z for i, z in enumerate(node.inputs) if i != position]
            if x.shape != node.shape and not spreads(x.shape, node.shape):
                continue
            kind, rank = self._left_out(node, others, moving)
            yield self._edit(
                kind,
                ("input", position),
                rank,
                node,
                lambda look, x=x, node=node: np.broadcast_to(look(x), node.shape),
            )

    def _left_out(self, node: Node, others: list[Node], moving: bool) -> tuple[str, float]:
        additive = node.primitive in _ADDITIVE and len(node.inputs) == 2
        if not others:
            name = behaviour(node)
            if name == "sign":
                return "sign", 0.6
            if name == "layout":
                return "transposed", 1.0
            return ("derivative left out", 1.5) if moving else ("wrong value", 2.4)
        if additive:
            return "term missing", 1.6
        if all(is_constant(z) for z in others):
            return "constant factor", 0.7
        if moving:
            return "derivative left out", 0.9
        return "term missing", 1.7

    # ---- an operand replaced
    def _operand(self, node: Node, position: int, x: Node) -> Iterator[Edit]:
        if x in self.tape.of:
            yield from self._upstream(node, position, x)
        elif is_constant(x):
            yield from self._number(node, position, x)
        elif x not in self.moving and x not in self.edge.fixed and x.shape != ():
            yield from self._value(node, position, x)

    def _put(self, node: Node, position: int, value: Any) -> Any:
        """The node with one operand replaced by ``value(look)``."""
        assert node.primitive is not None
        meaning, inputs, parameters = node.primitive.meaning, node.inputs, node.parameters

        def make(look: Look) -> Any:
            operands = [value(look) if i == position else look(x) for i, x in enumerate(inputs)]
            return meaning(*operands, **parameters)

        return make

    def _number(self, node: Node, position: int, x: Node) -> Iterator[Edit]:
        k = float(np.asarray(x.value).item())
        candidates = {1.0: 0.7, 0.0: 1.8, -k: 2.0, 2 * k: 2.6, k / 2: 2.6, k + 1: 2.8, k - 1: 2.2}
        if k in self.sizes:
            candidates.update({float(n): 1.4 for n in self.sizes if n > 1})
        candidates.pop(k, None)
        for value, rank in candidates.items():
            kind = "constant factor" if value not in (0.0, -k) else "term missing" if value == 0 else "sign"
            yield self._edit(
                kind,
                ("number", position, round(value, 12)),
                rank,
                node,
                self._put(node, position, lambda look, value=value: value),
                detail=f"{k:g} → {value:g}",
            )

    def _value(self, node: Node, position: int, x: Node) -> Iterator[Edit]:
        for other in self.near:
            if other is x or other.shape != x.shape:
                continue
            kind, rank = self._instead(x, other)
            yield self._edit(
                kind,
                ("value", position, self._relative(other)),
                rank,
                node,
                self._put(node, position, lambda look, other=other: look(other)),
                detail=self.tape.name(other),
            )
        yield from self._turned(node, position, x)
        own = self.edge.node
        if len(own.inputs) == 1 and own.shape == own.inputs[0].shape == x.shape and own.primitive is not None:
            meaning, parameters = own.primitive.meaning, own.parameters
            yield self._edit(
                "wrong value",
                ("function of", position),
                2.4,
                node,
                self._put(node, position, lambda look: meaning(look(x), **parameters)),
            )

    def _instead(self, x: Node, other: Node) -> tuple[str, float]:
        """The name for a value read in place of another."""
        roles = [self.tape.model.values[v].role for v in (x, other) if v in self.tape.model.values]
        own = (self.edge.node, *self.edge.node.inputs)
        if roles.count("parameter") == 2:
            return "parameter swapped", 1.9
        if (x in own and other in own) or before(x, other) or before(other, x):
            return "wrong value", 1.1
        return "wrong value", 2.6 if self.tape.box_of.get(other) is self.edge.box else 3.4

    def _relative(self, other: Node) -> Any:
        """A value in terms that are the same for every copy of the line."""
        own = self.edge.node
        if other is own:
            return "result"
        if other in own.inputs:
            return own.inputs.index(other)
        value = self.tape.model.values.get(other)
        if other in self.tape.box_of:
            return self.tape.site(other), self.tape.occurrence(other) - self.tape.occurrence(own)
        return value.name if value else other.number

    def _turned(self, node: Node, position: int, x: Node) -> Iterator[Edit]:
        """A forward value flipped or transposed."""
        if len(x.shape) >= 2 and x.shape[-1] == x.shape[-2] > 1 and len(x.shape) == 2:
            yield self._edit(
                "transposed",
                ("value transposed", position),
                1.0,
                node,
                self._put(node, position, lambda look: np.swapaxes(look(x), -1, -2)),
            )
        if len(x.shape) < 3 and not (len(x.shape) == 1 and x in self.tape.wrt):
            return
        axes = [i for i, n in enumerate(x.shape) if n > 1]
        spatial = tuple(i for i in axes if i >= 2)
        for chosen in dict.fromkeys([spatial, *((i,) for i in axes), tuple(axes)]):
            if chosen:
                yield self._edit(
                    "kernel not flipped",
                    ("flip", position, chosen),
                    1.3 if chosen == spatial else 2.9,
                    node,
                    self._put(node, position, lambda look, chosen=chosen: np.flip(look(x), chosen)),
                    detail=f"axes {', '.join(map(str, chosen))}",
                )

    def _upstream(self, node: Node | None, position: int, leaf: Node) -> Iterator[Edit]:
        """Another gradient in place of the one that arrives."""

        def put(value: Any) -> Any:
            return value if node is None else self._put(node, position, value)

        if leaf.shape != ():
            yield self._edit(
                "wrong upstream", ("ones", position), 2.3, node, put(lambda look: np.ones(leaf.shape)), "1"
            )
        own = self.tape.of[leaf]
        complete, at = self.tape.complete, self.edge.number
        others: list[Node] = []
        for other in self.tape.gradient:
            value = self.tape.value(other)
            if other is own or other.shape != own.shape or complete.get(other, at) >= at:
                continue
            if value is not None and value.role != "input" and other not in self.tape.inputs:
                others.append(other)
        others.sort(key=lambda other: abs(other.number - own.number))
        for other in others[:OTHERS]:
            value, gradient = self.tape.model.values[other], self.tape.gradient[other]
            yield self._edit(
                "wrong upstream",
                ("gradient", position, self._relative(other)),
                2.7,
                node,
                put(lambda look, gradient=gradient: look(gradient)),
                detail=f"∂L/∂{value.name}",
            )
        for order in row_orders(self.tape, own):

            def rows(look: Look, order: tuple[tuple[int, ...], tuple[int, ...]] = order) -> Any:
                sizes, axes = order
                g = np.asarray(look(leaf))
                parts = g.reshape(*sizes, *g.shape[1:]) if len(sizes) > 1 else g
                rest = range(len(axes), parts.ndim)
                return parts.transpose(*axes, *rest).reshape(g.shape)

            yield self._edit(
                "order permuted", ("rows", position, order), 2.8, node, put(rows), detail=str(order[1])
            )

    # ---- a node computed otherwise
    def _operator(self, node: Node) -> Iterator[Edit]:
        if node.primitive not in _ARITHMETIC:
            return
        a, b = node.inputs
        moving = a in self.moving, b in self.moving
        for other in _ARITHMETIC:
            if other is node.primitive or (any(moving) and not all(moving) and other in _ADDITIVE):
                continue
            if moving[1] and other is _ARITHMETIC[3]:
                continue
            yield self._edit(
                "operator",
                ("operator", other.name),
                2.1 if {node.primitive, other} in ({*_ADDITIVE}, {*_ARITHMETIC[2:]}) else 3.8,
                node,
                lambda look, other=other: other.meaning(look(a), look(b)),  # type: ignore[call-arg]
                detail=other.name,
            )
        if node.primitive in (_ARITHMETIC[1], _ARITHMETIC[3]) and not moving[1] and a.shape == b.shape:
            meaning: Any = node.primitive.meaning
            kind, rank = ("sign", 1.2) if node.primitive in _ADDITIVE else ("operator", 2.5)
            yield self._edit(kind, ("exchanged",), rank, node, lambda look: meaning(look(b), look(a)))
        if moving[0] != moving[1] and node.primitive is not None:
            factor, meaning = (b if moving[0] else a), node.primitive.meaning
            if moving[0]:
                yield self._edit(
                    "counted twice",
                    ("factor twice",),
                    2.4,
                    node,
                    lambda look: meaning(meaning(look(a), look(factor)), look(factor)),
                )
            else:
                yield self._edit(
                    "counted twice",
                    ("factor twice",),
                    2.4,
                    node,
                    lambda look: meaning(look(factor), meaning(look(factor), look(b))),
                )

    def _parameters(self, node: Node) -> Iterator[Edit]:
        for name, value in node.parameters.items():
            if name == "subscripts":
                yield from self._subscripts(node, value)
            elif name == "axis" and node.inputs:
                yield from self._axis(node, value)
            elif name in ("axes",):
                rank = len(value)
                for order in permutations(range(rank)) if rank <= 4 else ():
                    if order != tuple(value):
                        yield self._edit(
                            "transposed",
                            ("axes", order),
                            1.1,
                            node,
                            self._with(node, axes=order),
                            detail=str(order),
                        )

    def _with(self, node: Node, **changed: Any) -> Any:
        """The node with other parameters, in its own shape."""
        assert node.primitive is not None
        meaning, inputs = node.primitive.meaning, node.inputs
        parameters, shape = {**node.parameters, **changed}, node.shape

        def make(look: Look) -> Any:
            result: Any = meaning(*[look(x) for x in inputs], **parameters)
            return result if np.shape(result) == shape else np.broadcast_to(result, shape)

        return make

    def _axis(self, node: Node, value: Any) -> Iterator[Edit]:
        rank = len(node.inputs[0].shape)
        choices = [(i,) for i in range(rank)] if isinstance(value, tuple) else list(range(rank))
        if isinstance(value, tuple) and len(value) == 1 and rank > 1:
            choices.append(tuple(range(rank)))
        for other in choices:
            if other != value:
                kind = "sum too wide" if isinstance(other, tuple) and len(other) > 1 else "wrong axis"
                yield self._edit(
                    kind,
                    ("axis", other),
                    2.0,
                    node,
                    self._with(node, axis=other),
                    detail=f"axis {other if isinstance(other, int) else ', '.join(map(str, other))}",
                )

    def _subscripts(self, node: Node, subscripts: str) -> Iterator[Edit]:
        """A product with a factor transposed, or with its factors exchanged, where the shapes allow it."""
        operands, result = subscripts.split("->")
        first, second = operands.split(",")
        a, b = node.inputs
        seen = {(first, second, result)}
        sizes = dict(zip(first + second, a.shape + b.shape, strict=True))
        if max(len(first), len(second)) <= 3:
            for p, q in product(set(permutations(first)), set(permutations(second))):
                one, two = "".join(p), "".join(q)
                if (one, two, result) in seen or (one != first and two != second and len(first + second) > 4):
                    continue
                if [sizes[c] for c in one] != list(a.shape) or [sizes[c] for c in two] != list(b.shape):
                    continue
                seen.add((one, two, result))
                text = f"{one},{two}->{result}"
                yield self._edit(
                    "transposed",
                    ("subscripts", one, two),
                    0.8,
                    node,
                    self._with(node, subscripts=text),
                    detail=text,
                )
        if len(first) == len(second) == len(result) == 2 and len({*a.shape, *b.shape}) == 1:
            for flip_a, flip_b in product((False, True), repeat=2):

                def exchanged(look: Look, flip_a: bool = flip_a, flip_b: bool = flip_b) -> Any:
                    left, right = look(a), look(b)
                    return (right.T if flip_b else right) @ (left.T if flip_a else left)

                yield self._edit("factors swapped", ("exchanged", flip_a, flip_b), 0.9, node, exchanged)

    def _masks(self, node: Node) -> Iterator[Edit]:
        if node.dtype.kind != "b" or node.shape == ():
            return
        yield self._edit(
            "derivative left out", ("true",), 0.8, node, lambda look: np.ones(node.shape, bool), "True"
        )
        yield self._edit("operator", ("not",), 2.6, node, lambda look: ~np.asarray(plain(node, look)), "not")
