"""Attention with several heads.

Knows queries, keys, values and masks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from boxgrad.errors import ShapeError, message
from boxgrad.functions import Random
from boxgrad.nn import expect, init
from boxgrad.nn.activations import softmax
from boxgrad.nn.linear import Linear
from boxgrad.nn.module import Module
from boxgrad.nn.regularisation import check_probability, drop


class MultiheadAttention(Module):
    """Each query takes a mean of the values, weighted by how well their keys match it.

    ``head_h = softmax(Q_h K_hᵀ / √d + M) V_h``, ``y = concat(head_1 … head_H) W_oᵀ + b_o`` with
    ``Q, K, V = query W_qᵀ + b_q, key W_kᵀ + b_k, value W_vᵀ + b_v`` split into H heads of
    d = E/H; query (L, N, E), key (S, N, K), value (S, N, V), y (L, N, E), M the masks.
    Parameters: in_proj_weight (3E, E) is W_q, W_k, W_v one below the other, or q_proj_weight
    (E, E), k_proj_weight (E, K), v_proj_weight (E, V) where K or V is not E; in_proj_bias (3E,);
    out_proj.weight (E, E), out_proj.bias (E,).

    Args:
        embed_dim: E.
        num_heads: H, which divides E.
        dropout: probability that a weight is dropped in training.
        bias: whether there are biases.
        kdim: K; E if None.
        vdim: V; E if None.
        batch_first: whether the arrays are (N, L, E) rather than (L, N, E).
        seed: of the initial values (Glorot's; biases 0) and of dropout; None for fresh ones.
        dtype: of the parameters.

    Called with query, key and value, and

        key_padding_mask: (N, S), bool (True: not looked at) or floats to add.
        need_weights: whether the weights are returned too.
        attn_mask: (L, S) or (N·H, L, S), bool (True: not looked at) or floats to add.
        average_attn_weights: whether the weights are averaged over the heads.

    Returns:
        y, and the weights (N, L, S), (N, H, L, S) if not averaged, or None.

    Raises:
        ShapeError: shapes do not fit.

    Source: Vaswani et al., 2017; PyTorch's ``nn.MultiheadAttention``.

    >>> layer = MultiheadAttention(8, 2, batch_first=True, seed=0)
    >>> x = np.ones((3, 5, 8), np.float32)
    >>> causal = np.triu(np.ones((5, 5), bool), 1)
    >>> y, weights = layer(x, x, x, attn_mask=causal)
    >>> y.shape, weights[0, 1].round(3).tolist()
    ((3, 5, 8), [0.5, 0.5, 0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if embed_dim % num_heads:
            raise ShapeError(
                message(
                    f"MultiheadAttention: {embed_dim} features cannot form {num_heads} heads",
                    "each head takes an equal share of the features",
                    "choose num_heads that divides embed_dim",
                )
            )
        check_probability("MultiheadAttention", dropout)
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.kdim = kdim
        self.vdim = vdim
        self.batch_first = batch_first
        random = init.stream(seed)
        if self._one_weight():
            self.in_proj_weight = np.empty((3 * embed_dim, embed_dim), dtype)
        else:
            self.q_proj_weight = np.empty((embed_dim, embed_dim), dtype)
            self.k_proj_weight = np.empty((embed_dim, kdim or embed_dim), dtype)
            self.v_proj_weight = np.empty((embed_dim, vdim or embed_dim), dtype)
        self.in_proj_bias = np.empty(3 * embed_dim, dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, seed=random, dtype=dtype)
        self.random: Random | None = None
        self.reset_parameters(random)

    def _one_weight(self) -> bool:
        return {self.kdim, self.vdim} <= {None, self.embed_dim}

    def _weights(self) -> list[Any]:
        if self._one_weight():
            return [self.in_proj_weight]
        return [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]

    def reset_parameters(self, random: Random) -> None:
        for weight in self._weights():
            weight[...] = init.xavier_uniform(weight.shape, seed=random, dtype=weight.dtype)
        if self.in_proj_bias is not None:
            self.in_proj_bias[...] = 0
            self.out_proj.bias[...] = 0
        self.random = random.split("dropout") if self.dropout else None

    def __call__(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
    ) -> tuple[Any, Any]:
        query, key, value = self._batch_first(query, key, value)
        batch, targets, _ = query.shape
        sources = key.shape[1]
        q, k, v = (self._heads(x) for x in self._project(query, key, value))
        scores = (q * (1 / math.sqrt(q.shape[-1]))) @ np.swapaxes(k, -1, -2)
        if attn_mask is not None:
            mask = expect.array(attn_mask)
            if mask.ndim == 3:
                wanted = (batch * self.num_heads, targets, sources)
                expect.shape(self, "attn_mask", mask, wanted)
                mask = mask.reshape(scores.shape)
            else:
                expect.shape(self, "attn_mask", mask, (targets, sources))
            scores = scores + _additive(mask, scores.dtype)
        if key_padding_mask is not None:
            mask = expect.array(key_padding_mask)
            expect.shape(self, "key_padding_mask", mask, (batch, sources))
            mask = mask.reshape((batch, 1, 1, sources))
            scores = scores + _additive(mask, scores.dtype)
        weights = softmax(scores)
        if self.training and self.random is not None:
            weights = drop(weights, self.dropout, self.random)
        heads = np.swapaxes(weights @ v, 1, 2)
        y = self.out_proj(heads.reshape((batch, targets, self.embed_dim)))
        if not self.batch_first:
            y = np.swapaxes(y, 0, 1)
        if not need_weights:
            return y, None
        return y, np.mean(weights, axis=1) if average_attn_weights else weights

    def _batch_first(self, query: Any, key: Any, value: Any) -> list[Any]:
        order: tuple[int | str, ...] = ("N", "L") if self.batch_first else ("L", "N")
        expect.shape(self, "query", query, (*order, self.embed_dim))
        batch = query.shape[0 if self.batch_first else 1]
        order = (batch, "S") if self.batch_first else ("S", batch)
        expect.shape(self, "key", key, (*order, self.kdim or self.embed_dim))
        expect.shape(self, "value", value, (*key.shape[:2], self.vdim or self.embed_dim))
        if self.batch_first:
            return [query, key, value]
        if query is key and key is value:
            return [np.swapaxes(query, 0, 1)] * 3
        return [np.swapaxes(x, 0, 1) for x in (query, key, value)]

    def _project(self, query: Any, key: Any, value: Any) -> list[Any]:
        size = self.embed_dim
        bias = self.in_proj_bias
        if self._one_weight() and query is key and key is value:
            x = query @ self.in_proj_weight.T
            if bias is not None:
                x = x + bias
            return [x[..., part * size : (part + 1) * size] for part in range(3)]
        weights = self._weights()
        if len(weights) == 1:
            weights = [weights[0][part * size : (part + 1) * size] for part in range(3)]
        projected = [x @ w.T for x, w in zip((query, key, value), weights, strict=True)]
        if bias is None:
            return projected
        return [x + bias[part * size : (part + 1) * size] for part, x in enumerate(projected)]

    def _heads(self, x: Any) -> Any:
        """(N, L, E) as (N, H, L, E/H)."""
        batch, length, _ = x.shape
        return np.swapaxes(x.reshape((batch, length, self.num_heads, -1)), 1, 2)


def _additive(mask: Any, dtype: Any) -> Any:
    """A mask as numbers to add to the scores: minus infinity where nothing is to be seen."""
    if mask.dtype.kind == "b":
        return np.where(mask, -np.inf, 0).astype(dtype)
    return mask.astype(dtype)
