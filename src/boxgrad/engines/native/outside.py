"""What a kernel did that left its memory: the error, with the names of boxes and the user's lines.

Knows kernels and the status words that checked ones write (``checking``).
"""

from __future__ import annotations

from collections.abc import Sequence

from boxgrad.engines.native.checking import STACK
from boxgrad.engines.native.layout import Home
from boxgrad.engines.native.steps import Kernel
from boxgrad.errors import BoxgradError
from boxgrad.graph.node import Node


class OutsideError(BoxgradError):
    """A kernel left the memory that it was given; found where ``BOXGRAD_NATIVE_CHECK`` is set."""


def accessed(kernel: Kernel, status: Sequence[int], inputs: Sequence[Node]) -> OutsideError:
    """An access that was found by its check."""
    _, _, writes, number, offset, size = status
    did = f"the kernel {kernel.label!r} {'wrote' if writes else 'read'} {size} bytes at byte {offset} of "
    if number < 0:
        return explained(did + ("an array on its stack" if number == STACK else "its arguments"), kernel)
    buffer = kernel.values[number].buffer.host
    whose = {Home.OUTPUT: "a result", Home.CONSTANT: "a constant", Home.FIXED: "an image with room around it"}
    owner = whose.get(buffer.home, "an intermediate value")
    if buffer.home is Home.INPUT:
        owner = f"the argument {inputs[buffer.number].label!r}"
    return explained(f"{did}{owner}, which has {buffer.bytes}", kernel)


def explained(what: str, kernel: Kernel) -> OutsideError:
    """A defect of a kernel, with the boxes that it runs and the lines that made them."""
    boxes = dict.fromkeys(
        f"{node.primitive.name} at {node.place}" if node.place else node.primitive.name
        for node in kernel.nodes
        if node.primitive is not None
    )
    where = "\n           ".join(boxes) or ", ".join(kernel.boxes)
    return OutsideError(
        f"{what}\n  where:   {where}\n"
        "  why:     this is a defect of the native engine, not of your program\n"
        "  instead: engine='numpy', and a report of it with the graph's listing"
    )
