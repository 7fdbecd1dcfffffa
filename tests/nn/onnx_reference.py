"""What the ONNX standard says an operator computes: the other opinion in these tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator


def onnx_run(
    operator: str, *inputs: np.ndarray | None, outputs: int = 1, opset: int = 20, **attributes: Any
) -> list[np.ndarray]:
    """Run one operator; None stands for an input that is left out."""
    names = [f"x{position}" for position in range(len(inputs))]
    given = ["" if value is None else name for name, value in zip(names, inputs, strict=True)]
    results = [f"y{position}" for position in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, given, results, **attributes)],
        "one",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in zip(names, inputs, strict=True)
            if value is not None
        ],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in results],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    feeds = {name: value for name, value in zip(names, inputs, strict=True) if value is not None}
    return ReferenceEvaluator(model).run(None, feeds)
