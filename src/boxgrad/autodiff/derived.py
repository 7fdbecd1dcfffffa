"""The derivatives that people ask for, all made of the one backward walk.

``grad``, ``value_and_grad``, ``vjp``; ``jvp`` is the transpose of the transpose; ``jacobian``, ``hessian``
and ``hvp`` are compositions. They nest to any order and work on traced values.

Values are present during tracing: Python control flow on them works. What the function writes into its
arguments is written back when it is done, as it would be without the derivative.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from boxgrad import tree
from boxgrad.autodiff.call import DERIVATIVE, Call
from boxgrad.autodiff.loops import scan_backward
from boxgrad.autodiff.reverse import Walk
from boxgrad.boxed import activate, current_tracer
from boxgrad.errors import DerivativeError, ShapeError
from boxgrad.graph.node import Node, input_node
from boxgrad.memory import owned
from boxgrad.ops.control import scan
from boxgrad.trace.apply import lift
from boxgrad.trace.arguments import is_real, type_of
from boxgrad.trace.box import Box, OwnBox
from boxgrad.types import ArrayType, is_ndarray, is_tuple


def _scalar_node(result: Any) -> Node:
    """The node of the result of a function that must return one number."""
    node = result.node if isinstance(result, Box) else lift(result) if _is_number(result) else None
    if node is None or node.shape != () or node.items is not None or node.dtype.kind != "f":
        what = repr(node.type) if node is not None else f"a {type(result).__name__}"
        raise DerivativeError.because(
            f"the gradient of a function that returns {what}",
            "a gradient is that of one real number; a function of several results has a Jacobian",
            "np.sum or np.mean of the result; has_aux=True to return (value, others); "
            "bg.jacobian or bg.vjp for an array",
        )
    return node


def _is_number(result: Any) -> bool:
    return isinstance(result, (int, float, complex, np.generic)) or tree.is_array(result)


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the value and the gradient.

    ``x ↦ (f(x), ∂f/∂x)``; ∂f/∂x has the structure, the shapes and the dtypes of x.

    Args:
        function: returns one real number, or ``(number, others)`` with ``has_aux``.
        argnums: the argument to differentiate with respect to, or several. Arguments may be containers,
            dataclasses and modules of arrays; integers and other objects inside have gradient None.
        has_aux: the function returns a pair, the second part of which is passed through.

    Returns:
        ``(value, gradient)``, or ``((value, others), gradient)``; a tuple of gradients for several argnums.

    Raises:
        DerivativeError: the result is not one real number, an argument has nothing to vary, or the result
            depends on the argument through a box without derivative only.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @functools.wraps(function)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        call = Call(function, args, kwargs, argnums)
        result, others = call.result, None
        if has_aux:
            if not is_tuple(result) or len(result) != 2:
                raise DerivativeError.because(
                    f"has_aux=True and the function returned a {type(call.result).__name__}",
                    "with has_aux it returns a pair",
                    "return value, others",
                )
            result, others = result
        node = _scalar_node(result)
        one: Any = np.ones((), node.dtype)[()]
        gradients = call.gradients([node], [OwnBox(lift(one)) if call.as_graph else one])
        value = (call.plain(result), call.plain(others)) if has_aux else call.plain(result)
        call.write_back()
        return value, call.shaped(gradients)

    return derivative


def grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the gradient: :func:`value_and_grad` without the value.

    With ``has_aux`` it returns ``(gradient, others)``.

    >>> grad(lambda x: x**3)(2.0)
    np.float64(12.0)
    >>> grad(grad(lambda x: x**3))(2.0)
    np.float64(12.0)
    """
    both = value_and_grad(function, argnums, has_aux)

    @functools.wraps(function)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return derivative


def vjp(function: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value, and the function that pulls gradients back from the result to the arguments.

    ``pullback(g) = (gᵀ ∂f/∂x_1, gᵀ ∂f/∂x_2, …)``; g has the structure and shapes of the result.

    As ``jax.vjp``.

    >>> y, pullback = vjp(lambda x: x**2, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    call = Call(function, args, {}, tuple(range(len(args))), later=True)
    leaves, structure = tree.flatten(call.result)
    nodes = [leaf.node if isinstance(leaf, Box) else lift(leaf) for leaf in leaves]
    value = tree.map(_own, call.plain(call.result))
    call.write_back()

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        parts = _matching(cotangent, structure, nodes, "the gradient given to the pullback")
        return call.shaped(call.gradients(nodes, parts))

    return value, pullback


def _own(leaf: Any) -> Any:
    """A copy, for the pullback reads the original."""
    return leaf.copy() if is_ndarray(leaf) else leaf


def _matching(given: Any, structure: tree.Structure, nodes: Sequence[Node], what: str) -> list[Any]:
    """Leaves that have the structure and shapes of some nodes."""
    leaves, other = tree.flatten(given)
    if other != structure:
        raise ShapeError.because(
            f"{what} has the structure {other}", f"the result has {structure}", "the same containers"
        )
    parts: list[Any] = []
    for leaf, node in zip(leaves, nodes, strict=True):
        if np.shape(leaf) != node.shape:
            raise ShapeError.because(
                f"{what} has shape {np.shape(leaf)} where {node.type!r} belongs",
                "it has one entry for each entry of the value",
                f"an array of shape {node.shape}",
            )
        part = leaf if hasattr(leaf, "dtype") else np.asarray(leaf, node.dtype)
        parts.append(part if part.dtype == node.dtype else part.astype(node.dtype))
    return parts


def jvp(function: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value, and its change along a direction: (f(x), ∂f/∂x · v).

    The pullback is linear in its argument; its transpose is the derivative along a direction.

    As ``jax.jvp``.

    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    args, tangents = tuple(args), tuple(tangents)
    outer = current_tracer()
    with activate(outer or DERIVATIVE):
        call = Call(function, args, {}, tuple(range(len(args))))
    call.nested = outer is not None
    leaves, structure = tree.flatten(call.result)
    outputs = [leaf.node if isinstance(leaf, Box) else lift(leaf) for leaf in leaves]
    # What is pulled back is linear in a probe: no derivative by it depends on its value.
    probes = [
        input_node(ArrayType(node.shape, node.dtype), None, np.zeros(node.shape, node.dtype)[()])
        if node.dtype.kind in "fc"
        else None
        for node in outputs
    ]
    chosen = [n for n in call.arguments.positions if n is not None]
    directions = [
        part
        for part, n in zip(_tangents(tangents, args), call.arguments.positions, strict=True)
        if n is not None
    ]
    with activate(outer or DERIVATIVE):
        pulled = Walk(True, scan_backward).run(
            outputs, [None if p is None else OwnBox(p) for p in probes], call.arguments.nodes
        )
    reached = [
        (pulled[n].node, v) for n, v in zip(chosen, directions, strict=True) if isinstance(pulled[n], Box)
    ]
    as_graph = outer is not None or any(isinstance(v, Box) for v in directions)
    wrt = [p for p in probes if p is not None]
    with activate(DERIVATIVE if as_graph and outer is None else outer):
        pushed = iter(
            Walk(as_graph, scan_backward).run([n for n, _ in reached], [v for _, v in reached], wrt)
        )
    changes: list[Any] = []
    for node, probe in zip(outputs, probes, strict=True):
        g = None if probe is None else next(pushed)
        changes.append(np.zeros(node.shape, node.dtype)[()] if g is None else g)
    call.as_graph = as_graph or any(node.value is None for node in call.arguments.nodes)
    value = call.plain(call.result)
    call.write_back()
    return value, tree.unflatten(structure, changes if as_graph else owned(changes, directions))


def _tangents(tangents: Any, args: Any) -> list[Any]:
    """The directions, one for each leaf of the arguments."""
    leaves, structure = tree.flatten(args)
    parts: list[Any] = structure.flatten_up_to(tangents)
    for part, leaf in zip(parts, leaves, strict=True):
        if is_real(leaf) and np.shape(part) != np.shape(leaf):
            raise ShapeError.because(
                f"a tangent of shape {np.shape(part)} for an argument of shape {np.shape(leaf)}",
                "a direction has one entry for each entry of the argument",
                f"a tangent of shape {np.shape(leaf)}",
            )
    return [
        part if hasattr(part, "dtype") or not is_real(leaf) else np.asarray(part, type_of(leaf).dtype)
        for part, leaf in zip(parts, leaves, strict=True)
    ]


def jacobian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns all derivatives of all results.

    ``J[i…, j…] = ∂y[i…]/∂x[j…]``: the shape of the result, then that of the argument. For containers, the
    structure of the result holds structures of the argument.

    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """

    @functools.wraps(function)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        call = Call(function, args, kwargs, argnums)
        leaves, structure = tree.flatten(call.result)
        nodes = [leaf.node if isinstance(leaf, Box) else lift(leaf) for leaf in leaves]
        if any(node.dtype.kind == "c" for node in (*nodes, *call.arguments.nodes)):
            raise DerivativeError.because(
                "the Jacobian of complex values",
                "one number for each pair of entries cannot hold how both parts vary with both parts",
                "the real and the imaginary part as real arrays; or bg.vjp and bg.jvp",
            )
        call.write_back(nodes)
        rows: list[Any] = []
        for node in nodes:
            size = type_of(OwnBox(node)).size
            basis = np.eye(size, dtype=node.dtype).reshape((size, *node.shape))

            def row(carry: Any, g: Any, node: Node = node) -> Any:
                return carry, tuple(call.gradients([node], [g]))

            sources = call.arguments.nodes
            stacked = (
                scan(row, np.zeros(()), basis)[1]
                if size
                else [np.zeros((0, *source.shape), source.dtype) for source in sources]
            )
            shaped = [
                x.reshape((*node.shape, *source.shape)) for x, source in zip(stacked, sources, strict=True)
            ]
            rows.append(call.shaped(shaped))
        return tree.unflatten(structure, rows)

    return derivative


def hessian(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives: the Jacobian of the gradient.

    ``H[i…, j…] = ∂²f/∂x[i…]∂x[j…]``: the shape of the argument twice.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(function, argnums), argnums)


def hvp(function: Callable[..., Any], x: Any, v: Any) -> Any:
    """The Hessian times a vector, without the Hessian: ``∂/∂x (∂f/∂x · v)``.

    x and v have one structure and the same shapes; so has the result. Source: B. A. Pearlmutter,
    "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """

    def along(x: Any) -> Any:
        slopes = tree.leaves(grad(function)(x))
        return sum(np.sum(slope * part) for slope, part in zip(slopes, tree.leaves(v), strict=True))

    return grad(along)(x)
