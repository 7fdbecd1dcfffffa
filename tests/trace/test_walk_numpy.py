"""No public callable of NumPy answers silently with something else, whatever traced arguments it is given."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import boxgrad as bg
from boxgrad.trace import Box
from walker import M, V, callables, walk

ROOT = Path(__file__).parents[2]
ALL = dict(callables())
PAGE = runpy.run_path(str(ROOT / "scripts" / "numpy_table.py"))


@pytest.mark.parametrize("name", ALL)
def test_callable(name: str):
    counts: dict[str, int] = {}
    walk(ALL[name], name, counts)
    kind, _ = PAGE["verdict"](name.rpartition(".")[2], ALL[name])
    assert kind == "differentiable" or not counts.get("derivative"), f"{name} varies, and is called {kind}"


# ---- methods and attributes of arrays
ARGUMENTS = ((), (0,), (1,), (V,), (0, 1), ([0, 1],), (V > 0.5,), (0, V))
NOT_CALLED = {
    "tofile", "dump", "dumps", "setflags", "setfield", "getfield", "ctypes", "data", "base", "partition",
    "argpartition",
}  # fmt: skip
NAMES = sorted(name for name in dir(np.ndarray) if not name.startswith("_") and name not in NOT_CALLED)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("array", [M, V], ids=["matrix", "vector"])
def test_attribute(name: str, array: np.ndarray):
    """As on a plain array, or an error of boxgrad that helps."""

    def outcome(x, arguments):
        found = getattr(x, name)
        return found(*arguments) if callable(found) else found

    for arguments in ARGUMENTS:
        own = array.copy()
        try:
            wanted = outcome(own, arguments)
        except Exception:
            continue
        seen = []

        def call(x, arguments=arguments, seen=seen):
            x = x.copy()
            seen += [outcome(x, arguments), x]
            return np.sum(x)

        refusal = ""
        try:
            bg.grad(call)(array)
        except bg.BoxgradError as error:
            refusal = str(error)
        if refusal:
            assert "instead: " in refusal
            assert "test_walk_numpy.py" in refusal
        else:
            for got, plain in zip(seen, [wanted, own], strict=True):
                value = got.node.value if isinstance(got, Box) else got
                if not isinstance(plain, (np.flatiter, str, type(None), tuple, np.dtype)):
                    np.testing.assert_allclose(value, plain, 1e-12)


def test_the_array_api_namespace():
    def standard(x):
        xp = x.__array_namespace__(api_version="2024.12")
        y = xp.cumulative_sum(xp.permute_dims(x, (1, 0)), axis=1)
        return xp.sum(xp.linalg.vector_norm(xp.concat([y, xp.matrix_transpose(x)]), axis=0))

    plain = standard(M)
    value, gradient = bg.value_and_grad(standard)(M)
    np.testing.assert_allclose(value, plain, 1e-14)
    assert np.all(gradient != 0)


def test_dlpack():
    """Results are plain arrays, which other libraries can take; traced values are not."""
    result = bg.grad(lambda x: np.sum(x * x))(V)
    np.testing.assert_array_equal(np.from_dlpack(result), 2 * V)
    with pytest.raises(bg.TraceError, match=r"DLPack[\s\S]*instead: "):
        bg.grad(lambda x: np.sum(np.from_dlpack(x)))(V)


def test_the_page_is_made_from_the_tables():
    """docs/numpy.md says what the tables say; python scripts/numpy_table.py makes it anew."""
    root = Path(__file__).parents[2]
    made = runpy.run_path(str(root / "scripts" / "numpy_table.py"))
    assert (root / "docs" / "numpy.md").read_text(encoding="utf-8") == made["page"]()
    kinds = [
        made["verdict"](name, f)[0] for module in made["MODULES"] for name, f in made["callables"](module)
    ]
    assert kinds.count("differentiable") + kinds.count("constant") >= 340
    assert kinds.count("differentiable") >= 260
