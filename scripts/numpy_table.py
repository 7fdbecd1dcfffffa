"""What happens to every public callable of NumPy when it is given traced values, as a page: docs/numpy.md.

The page is made from the tables by which calls are dispatched, so it cannot say what is not so; a test
compares it with what is made here.

    python scripts/numpy_table.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import boxgrad  # noqa: F401  fills the tables
from boxgrad.graph.primitive import NoDerivative, primitive_of
from boxgrad.trace.table import by_name, composites, constant, refused

PAGE = Path(__file__).parents[1] / "docs" / "numpy.md"
MODULES = (np, np.linalg, np.fft)
DEFAULT = "boxgrad has no rule for it"

# NumPy does not ask an argument about these, so a traced value reaches them as what it is: an object that
# cannot be turned into a plain array. What they do then is tested like everything else.
CONVERTING = "it would make a plain array, which forgets how its values were computed"
UNSEEN: dict[str, str] = {
    **dict.fromkeys(("array", "asarray", "asanyarray"), f"{CONVERTING}; with `like=x` it is traced"),
    **dict.fromkeys(("ascontiguousarray", "asfortranarray"), f"{CONVERTING}; instead: x.copy()"),
    **dict.fromkeys(("asmatrix", "require", "fromiter", "frombuffer", "from_dlpack"), CONVERTING),
    "asarray_chkfinite": f"{CONVERTING}; instead: np.isfinite",
    "frompyfunc": "it calls Python on each element; instead: the function itself, on arrays",
    "isfortran": "a traced value has no memory of its own",
    "bmat": "NumPy itself answers None to what is not its own array; instead: np.block",
}  # fmt: skip


def callables(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions and ufuncs of a module."""
    for name in sorted(dir(module)):
        function = getattr(module, name)
        if (
            not name.startswith("_")
            and callable(function)
            and not isinstance(function, type)
            and name != "test"
        ):
            yield name, function


def verdict(name: str, function: Callable[..., Any]) -> tuple[str, str]:
    """ "differentiable", "constant", "refused" or "untraced", and a remark."""
    primitive = primitive_of(function)
    if function in composites:
        if name in UNSEEN:
            return "refused", UNSEEN[name]
        return ("constant" if function in constant else "differentiable"), ""
    if primitive is not None:
        lost = isinstance(primitive.vjp, NoDerivative)
        return ("constant" if lost else "differentiable"), ""
    if function in refused:
        reason, instead = refused[function]
        return "refused", f"{reason}; instead: {instead}"
    if isinstance(function, np.ufunc) or hasattr(function, "_implementation"):
        return "refused", DEFAULT
    if name in UNSEEN:
        return "refused", UNSEEN[name]
    return "untraced", ""


TITLES = {
    "differentiable": "Differentiable",
    "constant": "Constant",
    "refused": "Refused",
    "untraced": "Nothing to trace",
}
WORDS = {
    "differentiable": "The result has the values, the shape and the dtype that NumPy gives, and "
    "derivatives of any "
    "order.",
    "constant": "The result is traced and has NumPy's values, but nothing to differentiate: truth "
    "values, positions, "
    "counts, facts of the type, text.",
    "refused": "An error names the call and the line, says why, and what to write instead.",
    "untraced": "They take no arrays of numbers (settings, files, windows, ranges), and answer as always.",
}


def page() -> str:
    """The text of the page."""
    found: dict[str, list[tuple[str, str]]] = {kind: [] for kind in TITLES}
    counts: dict[str, dict[str, int]] = {}
    for module in MODULES:
        prefix = module.__name__.replace("numpy", "np")
        counts[prefix] = dict.fromkeys(TITLES, 0)
        for name, function in callables(module):
            kind, remark = verdict(name, function)
            counts[prefix][kind] += 1
            found[kind].append((f"{prefix}.{name}".removeprefix("np."), remark))
    lines = [
        "# NumPy, function by function",
        "",
        "Made by `scripts/numpy_table.py` from the tables by which boxgrad dispatches NumPy's calls (NumPy "
        f"{'.'.join(np.__version__.split('.')[:2])}). A test calls every one of them with traced "
        f"arguments in "
        "every small combination that NumPy accepts, and compares values with NumPy and gradients with "
        "differences: none answers something else without a word.",
        "",
        "| | " + " | ".join(f"`{prefix}`" for prefix in counts) + " | together |",
        "|---|" + "---:|" * (len(counts) + 1),
    ]
    for kind, title in TITLES.items():
        numbers = [counts[prefix][kind] for prefix in counts]
        lines.append(f"| {title} | " + " | ".join(map(str, numbers)) + f" | {sum(numbers)} |")
    for kind, title in TITLES.items():
        lines += ["", f"## {title}", "", WORDS[kind], ""]
        if kind == "refused":
            reasons: dict[str, list[str]] = {}
            for name, remark in found[kind]:
                reasons.setdefault(remark, []).append(f"`{name}`")
            lines += ["| | why, and what to write instead |", "|---|---|"]
            lines += [f"| {', '.join(names)} | {remark} |" for remark, names in reasons.items()]
        else:
            lines.append(", ".join(f"`{name}`" for name, _ in found[kind]) + ".")
    lines += ["", "## Beyond functions", "", *BEYOND, ""]
    return "\n".join(lines)


BEYOND = (
    "* **Operators and methods.** All operators, in place too, with arrays, numbers and lists on either "
    "side; the "
    "methods and attributes of arrays, save those about memory (`strides`, `flags`, `view`, `tobytes` "
    "…), which are "
    "refused.",
    "* **Methods of ufuncs.** `reduce`, `accumulate`, `reduceat`, `outer` and `at` of every ufunc of two "
    "arguments "
    "with real results; `out=`, `where=`, `dtype=`, `casting=`, `initial=`, `keepdims=`.",
    "* **Views and writes.** `x[i] = v`, `x[mask] += v`, writes through slices, transposes, reshapes, "
    "`x.flat`, "
    "`x.real`: the base and its other views see them, as in NumPy. A plain array cannot hold traced values: "
    "`h = np.zeros_like(x)` or `np.zeros(n, like=x)` makes one that can.",
    "* **Lists of traced values** are taken where NumPy asks its arguments (`np.stack`, `np.block`, "
    "`np.select` …), and "
    "refused where it does not (`np.array([a, b])`).",
    "* **scipy.special.** These ufuncs: " + ", ".join(f"`{name}`" for name in sorted(by_name)) + ".",
)


def main() -> None:
    """Write the page, or with --check say whether it is what it should be."""
    text = page()
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
