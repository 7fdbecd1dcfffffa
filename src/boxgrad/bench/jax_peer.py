"""The cases in JAX: the layers as functions of a dictionary of weights, the whole step under ``jax.jit``.

Knows JAX, which is imported when a step is made. Layers have PyTorch's layouts and gate order.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from boxgrad.bench.models import LEARNING_RATE, VOCABULARY, Case, Step

State = Mapping[str, np.ndarray[Any, Any]]
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def compiled(case: Case, state: State) -> Step:
    """A jitted step; its arguments are donated, so that weights are updated in place."""
    jax = importlib.import_module("jax")
    jnp = importlib.import_module("jax.numpy")
    scores = _text(jax, jnp, case) if case.text else _images(jax, jnp, case)
    x, y = map(jnp.asarray, case.data())
    weights = {name: jnp.asarray(v) for name, v in state.items() if not name.endswith(_STATISTICS)}
    zeros = {name: jnp.zeros_like(v) for name, v in weights.items()}
    memory = [weights, zeros, {name: jnp.zeros_like(v) for name, v in weights.items()}, jnp.zeros(())]

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        rows = jax.nn.log_softmax(scores(weights, x))
        return -jnp.mean(jnp.take_along_axis(rows, y[:, None], axis=1))

    def update(weights: Any, first: Any, second: Any, count: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
        count = count + 1
        tree = jax.tree.map
        first = tree(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = tree(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        rate, root = LEARNING_RATE / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        weights = tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), weights, first, second)
        return loss, weights, first, second, count

    run = jax.jit(update, donate_argnums=(0, 1, 2, 3))

    def step() -> Any:
        loss, *memory[:] = run(*memory, x, y)
        return jax.block_until_ready(loss)

    return step


def _images(jax: Any, jnp: Any, case: Case) -> Any:
    def conv(x: Any, w: Any, b: Any, padding: int = 0) -> Any:
        y = jax.lax.conv_general_dilated(x, w, (1, 1), [(padding, padding)] * 2)
        return y + b[:, None, None]

    def normalised(x: Any, scale: Any, shift: Any) -> Any:
        mean, variance = jnp.mean(x, (0, 2, 3), keepdims=True), jnp.var(x, (0, 2, 3), keepdims=True)
        return (x - mean) / jnp.sqrt(variance + 1e-5) * scale[:, None, None] + shift[:, None, None]

    def pooled(x: Any, size: int) -> Any:
        window = (1, 1, size, size)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")

    def scores(weights: Any, x: Any) -> Any:
        for number, (kind, sizes, options) in enumerate(case.layers):
            own = [
                weights[f"{number}.{name}"] for name in ("weight", "bias") if f"{number}.{name}" in weights
            ]
            if kind == "Linear":
                x = x @ own[0].T + own[1]
            elif kind == "Conv2d":
                x = conv(x, *own, **options)
            elif kind == "BatchNorm2d":
                x = normalised(x, *own)
            elif kind == "MaxPool2d":
                x = pooled(x, *sizes)
            elif kind == "Flatten":
                x = x.reshape(len(x), -1)
            else:
                x = {"Tanh": jnp.tanh, "ReLU": jax.nn.relu}[kind](x)
        return x

    return scores


def _text(jax: Any, jnp: Any, case: Case) -> Any:
    (_, (_, hidden), _), (_, _, options), _ = case.layers

    def layer(weights: Any, x: Any, number: int) -> Any:
        w_x, w_h, b_x, b_h = (
            weights[f"recurrent.{name}_l{number}"]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        inputs = x @ w_x.T + b_x + b_h

        def cell(carry: Any, row: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(row + h @ w_h.T, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zero = jnp.zeros((x.shape[1], hidden), x.dtype)
        return jax.lax.scan(cell, (zero, zero), inputs)[1]

    def scores(weights: Any, x: Any) -> Any:
        values = weights["embedding.weight"][x]
        for number in range(options["num_layers"]):
            values = layer(weights, values, number)
        rows = values @ weights["head.weight"].T + weights["head.bias"]
        return rows.reshape(-1, VOCABULARY)

    return scores
