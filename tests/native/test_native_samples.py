"""Every sample row, and every gradient of one, under the native engine against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import boxgrad as bg
from numeric import assert_within_units, is_real
from samples import SAMPLES, Sample

rows = pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
smooth = [sample for sample in SAMPLES if sample.order]
smooth_rows = pytest.mark.parametrize("sample", smooth, ids=[sample.name for sample in smooth])


@rows
def test_native(sample: Sample):
    compiled = bg.compile(sample.call, engine="native")
    for _ in range(2):
        assert_within_units(compiled(*sample.inputs), sample.call(*sample.inputs))


@smooth_rows
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_native_gradient(sample: Sample, dtype):
    inputs = [x.astype(dtype) if isinstance(x, np.ndarray) and is_real(x) else x for x in sample.inputs]
    chosen = [i for i, x in enumerate(inputs) if is_real(x)]
    g = np.random.default_rng(3).normal(size=np.shape(sample.call(*inputs))).astype(dtype)
    gradient = bg.grad(lambda *xs: np.sum(sample.call(*xs) * g), argnums=chosen)
    compiled = bg.compile(gradient, engine="native")
    for got, wanted in zip(compiled(*inputs), gradient(*inputs), strict=True):
        assert_within_units(got, wanted, 512, dtype)
