"""``explain``: a function's gradient three ways, from one model of boxes and values.

Traces the function with values, groups the graph into boxes, derives each box; the views are made on use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from boxgrad.errors import DerivativeError, message
from boxgrad.explain.boxes import Model, group
from boxgrad.explain.gradients import derive
from boxgrad.graph.node import Graph, Node
from boxgrad.trace.tracer import trace

LANGUAGES = ("en", "zh")


def modelled(function: Callable[..., Any], args: Sequence[Any], wrt: Any = None) -> Model:
    """The boxes, values and gradients of a function at some arguments.

    ``wrt`` names arguments (``"W"``) or numbers them; None means every real argument.
    """
    graph = trace(function, *args, keep_values=True)
    if len(graph.outputs) != 1 or graph.outputs[0].shape != () or graph.outputs[0].dtype.kind != "f":
        kinds = ", ".join(repr(node.type) for node in graph.outputs)
        raise DerivativeError(
            message(
                f"an explanation of a function that returns {kinds or 'nothing'}",
                "a gradient is that of one real number",
                "np.sum or np.mean of the result",
            )
        )
    model = group(graph, _chosen(graph, wrt))
    derive(model)
    return model


def _chosen(graph: Graph, wrt: Any) -> list[Node]:
    real = [node for node in graph.inputs if node.dtype.kind in "fc"]
    if wrt is None:
        return real
    names = {wrt} if isinstance(wrt, (str, int)) else set(wrt)
    found = [
        node
        for number, node in enumerate(graph.inputs)
        if {number, node.label, (node.label or "").partition(".")[0]} & names and node in real
    ]
    if not found:
        raise DerivativeError(
            message(
                f"no real argument is called {wrt!r}",
                f"the arguments are {', '.join(node.label or '?' for node in graph.inputs)}",
                "wrt='X', or a list of names",
            )
        )
    return found
