"""The derivative of ``scan``: a scan in the other direction.

The gradient of the carry runs backwards through the loop. A constant gets a sum over the steps; where each
step's share is a product of matrices, the factors are stacked and one large product is taken after the loop.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from boxgrad.autodiff.reverse import Walk
from boxgrad.graph.node import Graph, Node, input_node, ordered
from boxgrad.graph.walk import substitute
from boxgrad.ops import control, elementwise
from boxgrad.ops.contract import contract, split
from boxgrad.trace.apply import apply, noting
from boxgrad.trace.box import OwnBox
from boxgrad.types import ArrayType


def _is_real(node: Node) -> bool:
    return node.dtype.kind in "fc"


def _twin(node: Node) -> Node:
    """An input of the node's type."""
    return input_node(ArrayType(node.shape, node.dtype))


def _body_gradients(
    body: Graph, seeded: Sequence[Node], cotangents: Sequence[Node], wrt: Sequence[Node]
) -> list[Node | None]:
    """The backward graph of a body. Without an origin of their own, its nodes take those of the body."""
    with noting():
        found = Walk(True, scan_backward).run(seeded, [OwnBox(g) for g in cotangents], wrt)
        return [_node(g) for g in found]


def _node(g: Any) -> Node | None:
    if g is None:
        return None
    return g.node if isinstance(g, OwnBox) else apply(elementwise.identity, (g,))


def saving(body: Graph, carry: range) -> Graph:
    """The body with further outputs: the values that its derivative will need in each step."""
    outputs = [node for node in body.outputs if _is_real(node)]
    cotangents = [_twin(node) for node in outputs]
    wrt = [node for node in body.inputs if _is_real(node)]
    if not outputs or not wrt:
        return body
    gradients = _body_gradients(body, outputs, cotangents, wrt)
    forward = set(body.nodes)
    gradients = _with_known_items(gradients, body.nodes, forward)
    used = {g for g in gradients if g is not None and g in forward}
    for node in ordered([g for g in gradients if g is not None], [*forward, *cotangents]):
        if node.primitive is control.item and node.inputs[0] in forward:
            used.add(node)  # a result of a loop within the loop: saved itself, not the tuple it is taken from
        elif node not in forward:
            used.update(x for x in node.inputs if x in forward)
    kept = {*body.outputs[len(carry) :], *body.inputs}.difference(body.inputs[carry.start : carry.stop])
    saved = sorted((x for x in used - kept if x.inputs or x in body.inputs), key=lambda x: x.number)
    return Graph(body.inputs, (*body.outputs, *saved))


def _with_known_items(
    gradients: Sequence[Node | None], known: Iterable[Node], forward: Container[Node]
) -> list[Node | None]:
    """Gradients in which each result of a loop of the body is one node: the known one, if there is one."""
    found = ordered([x for x in gradients if x is not None])
    first: dict[tuple[Node, int], Node] = {}
    same: dict[Node, Node] = {}
    for node in (*known, *found):
        if node.primitive is control.item and node.inputs[0] in forward:
            chosen = first.setdefault((node.inputs[0], node.parameters["index"]), node)
            if chosen is not node:
                same[node] = chosen
    moved = iter(substitute([x for x in gradients if x is not None], same))
    return [None if x is None else next(moved) for x in gradients]


def scan_backward(walk: Walk, node: Node, g: dict[int, Any], wanted: tuple[bool, ...]) -> list[Any]:
    """The gradients of a scan's inputs from those of its outputs."""
    body: Graph = node.parameters["body"]
    fixed, carries = node.parameters["constants"], node.parameters["carries"]
    length, reverse = node.parameters["length"], node.parameters["reverse"]
    constants = body.inputs[:fixed]
    carried = body.inputs[fixed : fixed + carries]
    streams = body.inputs[fixed + carries :]
    sequences = node.inputs[fixed + carries :]

    # What is seeded in each step: the running gradient of the carry, and that of the step's outputs.
    moving = [i for i in range(carries) if _is_real(carried[i])]
    stacked = [i for i in range(carries, len(body.outputs)) if i in g]
    carry_in = [_twin(carried[i]) for i in moving]
    output_in = [_twin(body.outputs[i]) for i in stacked]
    wrt_constants = [i for i in range(fixed) if wanted[i]]
    wrt_streams = [i for i in range(len(streams)) if wanted[fixed + carries + i]]
    gradients = _body_gradients(
        body,
        [body.outputs[i] for i in (*moving, *stacked)],
        [*carry_in, *output_in],
        [constants[i] for i in wrt_constants]
        + [carried[i] for i in moving]
        + [streams[i] for i in wrt_streams],
    )

    # What the backward body reads of the forward pass: sequences it was given, and saved outputs.
    saved = {
        node: i for i, node in reversed(list(enumerate(body.outputs))) if i >= carries and node not in streams
    }
    gradients = _with_known_items(gradients, saved, set(body.nodes))
    needed = ordered([x for x in gradients if x is not None], [*saved, *body.inputs, *carry_in, *output_in])
    if any(x in carried and x not in saved for x in needed):
        again = {**node.parameters, "body": saving(body, range(fixed, fixed + carries))}
        if walk.as_graph:
            node = apply(control.loop, node.inputs, again)
        else:
            value = control.loop.meaning(*[x.value for x in node.inputs], **again)
            node = Node(control.loop, node.inputs, again, value, tuple(map(ArrayType.of, value)))
        return scan_backward(walk, node, g, wanted)
    used = set(needed)
    read = [x for x in saved if x in used]
    stands = {x: _twin(x) for x in read}
    moved = iter(substitute([x for x in gradients if x is not None], stands))
    gradients = [None if x is None else next(moved) for x in gradients]

    # The sequences of the backward loop, outside, beside the inputs that stand for them, inside.
    inside = [*(x for x in streams if x in used), *stands.values(), *output_in]
    outside = [
        *(walk.operand(x) for x, inner in zip(sequences, streams, strict=True) if inner in used),
        *(_part(walk, node, saved[x]) for x in read),
        *(g[i] for i in stacked),
    ]
    split_at = len(wrt_constants), len(wrt_constants) + len(moving)
    shares = gradients[: split_at[0]]
    carry_out = gradients[split_at[0] : split_at[1]]
    stream_out = gradients[split_at[1] :]

    # A constant's gradient: products become one product after the loop, the rest is added up in the loop.
    products: list[list[tuple[Node, Node, str]]] = [[] for _ in shares]
    rests: list[list[Node]] = [[] for _ in shares]
    in_step = _depending_on_step(gradients, [*inside, *carry_in])
    for number, share in enumerate(shares):
        for term in _terms(share):
            if term.primitive is contract and all(x in in_step for x in term.inputs):
                products[number].append((*term.inputs, term.parameters["subscripts"]))  # type: ignore[arg-type]
            else:
                rests[number].append(term)
    adding = [i for i, terms in enumerate(rests) if terms]
    totals_in = [_twin(constants[wrt_constants[i]]) for i in adding]
    totals_out = [_sum_of([total, *rests[i]]) for i, total in zip(adding, totals_in, strict=True)]
    factors = list(
        dict.fromkeys(x for terms in products for a, b, _ in terms for x in (a, b) if x not in inside)
    )
    zeros = [apply_zero(carried[i]) if x is None else x for i, x in zip(moving, carry_out, strict=True)]
    steps_out = [x for x in stream_out if x is not None]
    used_constants = [i for i, x in enumerate(constants) if x in used]
    backward = Graph(
        (*(constants[i] for i in used_constants), *carry_in, *totals_in, *inside),
        (*zeros, *totals_out, *steps_out, *factors),
    )
    first = len(used_constants)
    count = len(moving) + len(adding)
    if walk.as_graph:
        backward = saving(backward, range(first, first + count))
    inputs = (
        *(walk.operand(node.inputs[i]) for i in used_constants),
        *(g.get(i, np.zeros(carried[i].shape, carried[i].dtype)) for i in moving),
        *(np.zeros(x.shape, x.dtype) for x in totals_in),
        *outside,
    )
    results = _run(walk, inputs, backward, first, count, length, not reverse)

    # Put the results where they belong.
    after = dict(zip(moving, results, strict=False))
    totals = dict(zip(adding, results[len(moving) :], strict=False))
    tail = iter(results[count:])
    step_gradients = [None if x is None else next(tail) for x in stream_out]
    known = {**dict(zip(inside, outside, strict=True)), **dict(zip(factors, tail, strict=False))}
    found: list[Any] = [None] * len(node.inputs)
    for number, i in enumerate(wrt_constants):
        terms = [_over_time(known[a], known[b], subscripts) for a, b, subscripts in products[number]]
        terms += [totals[number]] if number in totals else []
        for term in terms:
            found[i] = term if found[i] is None else found[i] + term
    for i in moving:
        found[fixed + i] = after[i]
    for i, x in zip(wrt_streams, step_gradients, strict=True):
        found[fixed + carries + i] = x
    return found


def apply_zero(node: Node) -> Node:
    """A constant 0 of a node's type."""
    return apply(elementwise.identity, (np.zeros(node.shape, node.dtype),))


def _part(walk: Walk, node: Node, index: int) -> Any:
    if not walk.as_graph:
        return node.value[index]
    return OwnBox(apply(control.item, (node,), {"index": index}))


def _run(
    walk: Walk, inputs: tuple[Any, ...], body: Graph, first: int, count: int, length: int, reverse: bool
) -> list[Any]:
    parameters = {"body": body, "constants": first, "carries": count, "length": length, "reverse": reverse}
    if not walk.as_graph:
        return list(control.loop.meaning(*inputs, **parameters))
    node = apply(control.loop, inputs, parameters)
    return [OwnBox(apply(control.item, (node,), {"index": i})) for i in range(len(body.outputs))]


def _depending_on_step(gradients: Sequence[Node | None], step: Sequence[Node]) -> set[Node]:
    found = set(step)
    for node in ordered([x for x in gradients if x is not None], step):
        if any(x in found for x in node.inputs):
            found.add(node)
    return found


def _terms(node: Node | None) -> Iterator[Node]:
    """The summands of a gradient."""
    if node is None:
        return
    if node.primitive is elementwise.add and all(x.shape == node.shape for x in node.inputs):
        for x in node.inputs:
            yield from _terms(x)
    else:
        yield node


def _sum_of(terms: Sequence[Node]) -> Node:
    total = terms[0]
    for term in terms[1:]:
        total = apply(elementwise.add, (total, term))
    return total


def _over_time(a: Any, b: Any, subscripts: str) -> Any:
    """Σ_t of a product, as one product over time and the axes it sums already."""
    first, second, result = split(subscripts)
    time = next(c for c in "tTsSuU" if c not in subscripts)
    return contract(a, b, subscripts=f"{time}{first},{time}{second}->{result}")
