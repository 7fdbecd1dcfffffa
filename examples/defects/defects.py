"""The examples of this folder, loaded, and the table of what a plain gradient check and boxgrad say about
them.

Each example is a file with ``loss``; a ``wrong`` and a ``right`` gradient of it, as functions or as a
formula; ``arguments(random)``, which draws a point; ``WRT``, the arguments that the gradients are of;
``EXPECTED``, kind and box of what boxgrad finds.

    python examples/defects/table.py
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import boxgrad as bg

# The name of the file, and what it is about, in English and in Chinese.
TITLES = {
    "missing_mean": ("linear regression: the mean's 1/N is missing", "线性回归：漏了求平均的 1/N"),
    "missing_two_over_n": ("two layers: 2/N is missing", "两层网络：漏了 2/N"),
    "bias_summed_too_far": ("hidden bias summed over the units too", "隐藏层偏置连同各单元一起求和"),
    "shared_activation": ("layers share one activation object", "各层共用同一个激活函数对象"),
    "normalisation_ignored": ("normalisation in the loss not differentiated", "损失中的归一化没有求导"),
    "another_loss": ("cross-entropy: the gradient is another loss's", "交叉熵：求的是另一个损失的梯度"),
    "relu_mask_always_true": ("ReLU's mask is always true", "ReLU 的掩码恒为真"),
    "kernel_not_flipped": ("convolution: kernel not flipped", "卷积：卷积核没有翻转"),
    "rows_in_another_order": ("convolution: rows in another order", "卷积：各行的顺序不一致"),
    "gru_gate_reads_other_weights": (
        "GRU: the update gate reads the reset gate's weights",
        "GRU：更新门用了重置门的权重",
    ),
    "gru_direct_path": ("GRU: the direct path is missing", "GRU：漏了直接通路"),
    "gru_gates_get_nothing": ("GRU: wrong upstream, the gate gets 0", "GRU：上游梯度用错，门的梯度为 0"),
    "formula_wrong_factor": ("formula: Xᵀ where Wᵀ belongs", "公式：该写 Wᵀ 处写成了 Xᵀ"),
    "formula_misread_index": ("formula: “with respect to x + 3”", "公式：“对 x + 3 求偏导”"),
}


def example(name: str) -> ModuleType:
    """One example, by the name of its file."""
    folder = str(Path(__file__).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def examples() -> Iterator[tuple[str, ModuleType]]:
    """All examples with their names, in the order of the table."""
    return ((name, example(name)) for name in TITLES)


def point(chosen: ModuleType, seed: int = 0) -> tuple[Any, ...]:
    """Arguments of an example."""
    return chosen.arguments(np.random.default_rng(seed))


def check(chosen: ModuleType, mine: Any, seed: int = 0) -> Any:
    """What boxgrad says about a gradient of an example."""
    return bg.check(chosen.loss, mine, *point(chosen, seed), wrt=chosen.WRT)


@cache
def verdict(name: str) -> Any:
    """What boxgrad says about the wrong gradient of an example."""
    return check(example(name), example(name).wrong)


def plain_check(function: Any, gradient: Any, args: tuple[Any, ...], wrt: tuple[str, ...]) -> float:
    """What a plain gradient check says: the largest relative error against central differences."""
    names = list(inspect.signature(function).parameters)
    claimed = gradient(*args)
    claimed = claimed if isinstance(claimed, tuple) else (claimed,)
    worst = 0.0
    for name, mine in zip(wrt, claimed, strict=True):
        where = names.index(name)
        for index in np.ndindex(np.shape(args[where])):
            values = []
            for step in (1e-5, -1e-5):
                moved = [np.array(x, float) if n == where else x for n, x in enumerate(args)]
                moved[where][index] += step
                values.append(function(*moved))
            slope = (values[0] - values[1]) / 2e-5
            difference = abs(slope - np.asarray(mine)[index])
            worst = max(worst, difference / max(abs(slope), abs(np.asarray(mine)[index]), 1e-8))
    return float(worst)
