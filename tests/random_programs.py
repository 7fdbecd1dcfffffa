"""Random programs of views, in-place writes and arithmetic, as text that plain NumPy runs.

A program grows statement by statement; running it on plain arrays supplies the shapes, and what NumPy
refuses is left out. All of it is analytic between the jumps of its masks, so that NumPy itself, on complex
numbers with a tiny imaginary part, gives exact derivatives through its own views and writes.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LARGEST = 150


@dataclass(frozen=True)
class Program:
    """Statements over the inputs x0, x1 …; every variable of the last state is a result."""

    inputs: dict[str, np.ndarray]
    statements: tuple[str, ...]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}{x.shape}" for name, x in self.inputs.items())
        return f"Program({shapes})\n    " + "\n    ".join(self.statements)

    def function(self) -> Callable[..., dict[str, Any]]:
        """The program as a function of its inputs, which it does not change: its variables at the end."""
        names = list(self.inputs)
        lines = [f"def program({', '.join(names)}):"]
        lines += [f"    {name} = {name}.copy()" for name in names]
        lines += [f"    {line}" for line in self.statements]
        lines.append("    return dict(locals())")
        space: dict[str, Any] = {"np": np}
        exec(compile("\n".join(lines), "<random program>", "exec"), space)
        return space["program"]


class Growth:
    """Choices of one program while it grows."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.statements: list[str] = []
        some = self.random.randint
        shapes = [[some(1, 3) for _ in range(some(1, 3))] for _ in range(some(1, 2))]
        numbers = np.random.default_rng(seed)
        self.inputs = {f"x{i}": np.round(numbers.normal(size=s), 3) + 1e-4 for i, s in enumerate(shapes)}
        self.space: dict[str, Any] = {"np": np, **{name: x.copy() for name, x in self.inputs.items()}}

    def pick(self, choices: Any) -> Any:
        """One of several."""
        return self.random.choice(choices)

    def chance(self, of: int) -> bool:
        """True once in so many times."""
        return self.random.randint(1, of) == 1

    def arrays(self) -> list[str]:
        """Names of arrays, and of numbers that reductions left."""
        kinds = (np.ndarray, np.floating)
        return [name for name, x in self.space.items() if isinstance(x, kinds) and np.size(x) <= LARGEST]

    # ---- keys
    def basic(self, shape: tuple[int, ...]) -> str:
        """A basic key: slices, integers, None and an ellipsis."""
        parts: list[str] = []
        for n in shape:
            number = str(self.random.randint(0, n - 1)) if n else ":"
            parts.append(self.pick([number, ":", "::-1", "1:", ":-1", "::2", "::-2", ":", ":"]))
            if self.chance(7):
                parts.append("None")
        if self.chance(4):
            parts.insert(self.random.randint(0, len(parts)), "...")
        elif parts and self.chance(2):
            parts = parts[: self.random.randint(1, len(parts))]
        return ", ".join(parts) or "..."

    def advanced(self, name: str, shape: tuple[int, ...]) -> str:
        """An index array, several of them, or a mask."""
        if not shape or 0 in shape:
            return "..."
        index = lambda n: str([self.random.randint(-n, n - 1) for _ in range(3)])
        kind = self.pick(["mask", "list", "two", "mixed"])
        if kind == "mask":
            return self.pick([f"{name} > 0.1", f"{name} < 0.0"])
        if kind == "two" and len(shape) > 1:
            return f"{index(shape[0])}, {index(shape[1])}"
        if kind == "mixed" and len(shape) > 1:
            return self.pick(["::-1, ", ":, None, ", "1:, "]) + index(shape[1])
        return index(shape[0])

    def operand(self, shape: tuple[int, ...]) -> str:
        """A number, or a variable that broadcasts to a shape."""
        fitting = [name for name in self.arrays() if _fits(np.shape(self.space[name]), shape)]
        return self.pick([*fitting, "0.5", "-1.25", "1.5"])

    # ---- statements
    def statement(self) -> str:
        """One statement."""
        name = self.pick(self.arrays())
        x = self.space[name]
        shape, new = np.shape(x), self.pick([f"v{len(self.statements)}", self.pick(self.arrays())])
        if not isinstance(x, np.ndarray):
            return self.pick(
                [f"{new} = {name} * 0.5", f"{name} += {self.operand(())}", f"{new} = np.sin({name})"]
            )
        kind = self.pick(["view", "view", "copy", "write", "write", "write", "function", "pure"])
        return getattr(self, kind)(name, x, shape, new)

    def view(self, name: str, x: Any, shape: tuple[int, ...], new: str) -> str:
        order = tuple(self.random.sample(range(x.ndim), x.ndim))
        sizes = [s for s in [(-1,), (1, x.size), (x.size, 1), shape[::-1], (*shape[:1], -1)] if 0 not in s]
        return self.pick([
            f"{new} = {name}[{self.basic(shape)}]", f"{new} = {name}[{self.basic(shape)}]",
            f"{new} = {name}.T",
            f"{new} = np.transpose({name}, {order})",
            f"{new} = {name}.reshape({self.pick(sizes or [shape])})",
            f"{new} = np.ravel({name})", f"{new} = {name}[...]", f"{new} = np.squeeze({name})",
            f"{new} = np.expand_dims({name}, 0)", f"{new} = np.swapaxes({name}, 0, -1)",
            f"{new} = np.flip({name})",
            f"{new} = np.diagonal({name}).copy()", f"{new} = np.broadcast_to({name}, {(2, *shape)}) * 1.0",
            f"{new} = {name}",
        ])  # fmt: skip

    def copy(self, name: str, x: Any, shape: tuple[int, ...], new: str) -> str:
        return self.pick([
            f"{new} = {name}[{self.advanced(name, shape)}]", f"{new} = {name}.copy()",
            f"{new} = np.copy({name})",
            f"{new} = {name}.flatten()", f"{new} = np.zeros({shape}, like=x0) * {name}",
            f"{new} = np.zeros_like({name})",
            f"{new} = np.concatenate([{name}, {name}])", f"{new} = np.stack([{name}, {name}], axis=-1)",
            f"{new} = np.roll({name}, 1)", f"{new} = np.repeat({name}, 2)",
        ])  # fmt: skip

    def write(self, name: str, x: Any, shape: tuple[int, ...], new: str) -> str:
        other, key = self.operand(shape), self.basic(shape)
        inner = self.operand(np.shape(x[eval(f"np.s_[{key}]", {"np": np})]))
        return self.pick([
            f"{name}[{key}] = {inner}", f"{name}[{key}] {self.pick(['+=', '*=', '-='])} {inner}",
            f"{name}[{self.advanced(name, shape)}] = {self.operand(())}",
            f"{name}[{self.advanced(name, shape)}] {self.pick(['+=', '*='])} {self.operand(())}",
            f"{name} {self.pick(['+=', '-=', '*='])} {other}", f"{name}[...] = {other}", f"{name}.fill(0.25)",
            f"{name}[1:] = {name}[:-1]", f"{name}[:-1] += {name}[1:]", f"{name} += {name}.T",
            f"{name}.T[{self.basic(shape[::-1])}] += {self.operand(())}", f"{name}.reshape(-1)[0] = 0.3",
            f"{name}.ravel()[-1] *= 0.5", f"{name}[{key}][...] = {inner}", f"{name}.flat[1:] = 0.75",
            f"{name}[::-1] = {name}", f"{name}[{key}] = np.sin({inner})",
        ])  # fmt: skip

    def function(self, name: str, x: Any, shape: tuple[int, ...], new: str) -> str:
        other = self.operand(shape)
        return self.pick([
            f"np.add({other}, {self.operand(shape)}, out={name})", f"np.sin({name}, out={name})",
            f"np.multiply({name}, {other}, out={name}, where={name} > 0.0)",
            f"np.add.at({name}, ({self.advanced(name, shape)},), {self.operand(())})",
            f"np.copyto({name}, {other})",
            f"np.copyto({name}, {other}, where={name} < 0.1)", f"np.put({name}, [0, -1], {self.operand(())})",
            f"np.fill_diagonal({name}, {self.pick(['0.5', other])}, wrap={self.pick([True, False])})",
            f"np.putmask({name}, {name} > 0.2, {other})",
            f"np.subtract.at({name}, [0, 0], {self.operand(())})",
        ])  # fmt: skip

    def pure(self, name: str, x: Any, shape: tuple[int, ...], new: str) -> str:
        other, axis = self.operand(shape), self.random.randint(0, max(x.ndim - 1, 0))
        return self.pick([
            f"{new} = {name} + {other}", f"{new} = {name} * {other}", f"{new} = {other} - {name}",
            f"{new} = np.sin({name})", f"{new} = np.tanh({name})", f"{new} = {name}.sum()",
            f"{new} = -{name}",
            f"{new} = np.sum({name}, axis={axis}, keepdims={self.pick([True, False])})",
            f"{new} = {name} ** 2",
            f"{new} = np.where({name} > 0, {name}, {other})", f"{new} = np.cumsum({name}, axis={axis})",
            f"{new} = np.mean({name}, axis={axis})", f"{new} = np.dot({name}, {name}.T)",
        ])  # fmt: skip


def _fits(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def finite(space: dict[str, Any]) -> bool:
    """Whether all variables are moderate numbers."""
    arrays = [x for x in space.values() if isinstance(x, (np.ndarray, np.floating))]
    return all(np.size(x) <= 400 and np.all(np.abs(x) < 100) for x in arrays)


def grown(seed: int, length: int) -> Program:
    """A program of at most so many statements, all of which NumPy accepts."""
    growth = Growth(seed)
    for _ in range(length):
        line = growth.statement()
        before = {k: np.copy(x) for k, x in growth.space.items() if isinstance(x, (np.ndarray, np.floating))}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                exec(line, growth.space)
        except Exception:
            if any(not np.array_equal(growth.space[k], x) for k, x in before.items()):
                break  # half a statement has been done
            continue
        if not finite(growth.space):
            break
        growth.statements.append(line)
    return Program(growth.inputs, tuple(growth.statements))


def accepted(program: Program) -> bool:
    """Whether NumPy runs all of a program."""
    try:
        program.function()(*program.inputs.values())
    except Exception:
        return False
    return True


def checked(program: Program, check: Callable[[Program], None]) -> None:
    """Check a program; of one that fails, say the shortest part that fails too."""
    try:
        check(program)
    except Exception:
        for i in range(len(program.statements)):
            shorter = Program(program.inputs, program.statements[:i] + program.statements[i + 1 :])
            if accepted(shorter):
                checked(shorter, check)
        raise AssertionError(repr(program)) from None
