"""From a function and its arguments to the model that all views share; what cannot be explained is refused.

Traces the function with values, groups the graph into boxes, derives each box. Knows nothing of views.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from boxgrad.errors import DerivativeError, Place, TraceError, message
from boxgrad.explain.boxes import Model, group
from boxgrad.explain.gradients import derive
from boxgrad.graph.node import Graph, Node
from boxgrad.trace.apply import context
from boxgrad.trace.tracer import inspect_unwrap, trace


def modelled(function: Callable[..., Any], args: Sequence[Any], wrt: Any = None) -> Model:
    """The boxes, values and gradients of a function at some arguments.

    ``wrt`` names arguments (``"W"``) or numbers them; None means every real argument, () none: then there are
    no gradients, and the result may have any shape.

    Raises:
        DerivativeError: the result is not one real number, or no argument is real.
        BoxgradError: what tracing raises; the message goes on with the boxes before the failure.
    """
    return model_of(traced(function, args)[0], wrt)


def traced(function: Callable[..., Any], args: Sequence[Any]) -> tuple[Graph, list[str]]:
    """The graph of a function, and the lines where it asked for numbers."""
    _check_arguments(function, args)
    before, context.reads = context.reads, []
    try:
        graph = trace(function, *args, keep_values=True)
        lines = [
            f"{Path(code.co_filename).name}:{Place(code, at).line}"
            for code, at, *_ in filter(None, context.reads)
        ]
    finally:
        context.reads = before
    return graph, list(dict.fromkeys(lines))


def model_of(graph: Graph, wrt: Any) -> Model:
    if _is_nothing(wrt) and len(graph.outputs) == 1:
        return group(graph, ())
    _check_result(graph)
    model = group(graph, _chosen(graph, wrt))
    derive(model)
    return model


def _is_nothing(wrt: Any) -> bool:
    return isinstance(wrt, (tuple, list, set)) and not wrt


def _check_arguments(function: Callable[..., Any], args: Sequence[Any]) -> None:
    if not callable(function):
        raise TraceError(
            message(
                f"an explanation of a {type(function).__name__}",
                "only a function can be explained; a module is an argument of one",
                "def loss(model, x, y): return nn.mse(model(x), y), then bg.explain(loss, model, x, y)",
            )
        )
    name = getattr(function, "__name__", "the function")
    if not args:
        raise DerivativeError(
            message(
                f"an explanation of {name}() without arguments",
                "the gradient is taken with respect to arguments, at their values",
                f"bg.explain({name}, X, W) with arrays",
            )
        )
    try:
        inspect.signature(inspect_unwrap(function)).bind(*args)
    except TypeError as error:
        raise TraceError(
            message(
                f"{name} cannot be called with {len(args)} argument{'s' * (len(args) > 1)}: {error}",
                f"it is defined as {name}{inspect.signature(inspect_unwrap(function))}",
                "one argument after the function for each of its parameters",
            )
        ) from None
    except ValueError:  # a callable without a signature is called as it is
        return


def _check_result(graph: Graph) -> None:
    real = [node for node in graph.inputs if node.dtype.kind in "fc"]
    if not real:
        kinds = ", ".join(f"{node.label}: {node.type!r}" for node in graph.inputs)
        held = f"the arguments are integers or truth values ({kinds})"
        raise DerivativeError(
            message(
                "an explanation without a real argument",
                f"{held if kinds else 'Python integers and texts stay as they are'}; "
                "a derivative needs real numbers",
                "floats: 3.0 instead of 3, X.astype(float) instead of X",
            )
        )
    one = len(graph.outputs) == 1 and set(graph.outputs[0].shape) <= {1}
    if not one or graph.outputs[0].dtype.kind != "f":
        kinds = ", ".join(repr(node.type) for node in graph.outputs)
        place = next((node.place for node in graph.outputs if node.place is not None), None)
        raise DerivativeError(
            message(
                f"an explanation of a function that returns {kinds or 'nothing'}",
                "a gradient is that of one real number",
                "return np.sum(…) or np.mean(…) of the result; or wrt=() for the forward pass alone",
                place,
            )
        )


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
