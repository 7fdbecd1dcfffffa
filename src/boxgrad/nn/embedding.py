"""The table that gives each of a number of things a vector.

Knows rows and indices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from boxgrad.errors import ShapeError, message
from boxgrad.functions import Random, stop_gradient
from boxgrad.nn import expect, init
from boxgrad.nn.lookup import rows
from boxgrad.nn.module import Module
from boxgrad.nn.summary import describe


class Embedding(Module):
    """A row of the table for each index.

    ``y[…] = W[i[…]]``, with i (…) whole numbers, W = weight (V, D), y (…, D).

    Args:
        num_embeddings: V, how many things there are.
        embedding_dim: D, how long a vector is.
        padding_idx: a row that starts as zeros and gets no gradient; None for no such row.
        seed: of the initial values, N(0, 1); None for fresh ones.
        dtype: of the table.

    Raises:
        IndexingError: an index that is not from 0 to V - 1.
        ShapeError: indices that are no whole numbers.

    Source: PyTorch's ``nn.Embedding``.

    >>> layer = Embedding(10, 3, padding_idx=0, seed=0)
    >>> layer(np.array([[1, 2, 0, 0]])).shape
    (1, 4, 3)
    >>> layer(np.array(0))
    array([0., 0., 0.], dtype=float32)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        seed: init.Seed = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ShapeError(
                    message(
                        f"Embedding: no row {padding_idx} among {num_embeddings}",
                        "padding_idx is one of the rows",
                        "padding_idx=0, for example",
                    )
                )
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.weight = np.empty((num_embeddings, embedding_dim), dtype)
        self.reset_parameters(init.stream(seed))

    def reset_parameters(self, random: Random) -> None:
        self.weight[...] = init.normal(self.weight.shape, seed=random, dtype=self.weight.dtype)
        if self.padding_idx is not None:
            self.weight[self.padding_idx] = 0

    def __call__(self, indices: Any) -> Any:
        indices = expect.array(indices)
        found = rows(self.weight, expect.indices(describe(self), indices, self.num_embeddings))
        if self.padding_idx is None:
            return found
        padded = np.expand_dims(indices == self.padding_idx, -1)
        return np.where(padded, stop_gradient(found), found)
