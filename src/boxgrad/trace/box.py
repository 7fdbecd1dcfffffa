"""The box: what a user's function sees in place of an array.

It implements NumPy's two protocols, operators, methods, indexing and in-place writes. A box is a handle on
a node: a write replaces the node. A *view* (a slice, a transpose, a reshape that NumPy would not copy) is a
lens on its base: reading applies ``get`` to the base's node, writing ``put``, so that the base and all its
other views see the write, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from boxgrad.conversion import array_error, refuse_loss
from boxgrad.errors import BranchError, ShapeError, TraceError
from boxgrad.graph.node import Node
from boxgrad.graph.primitive import Primitive, primitive_of
from boxgrad.ops import elementwise, index, reduce, shape
from boxgrad.trace import indexing
from boxgrad.trace.apply import Holder, apply, context, origin
from boxgrad.trace.ufunc import call_function, call_ufunc
from boxgrad.types import ArrayType, is_integer


class Box(Holder):
    """A traced array. Use it as an ndarray."""

    __slots__ = ()
    __array_priority__ = 1000

    # ---- the node
    def bind(self, primitive: Primitive, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        return OwnBox(apply(primitive, inputs, parameters))

    def made(self, node: Node) -> Any:
        """The box of a new node."""
        return OwnBox(node)

    def write(self, node: Node) -> None:
        """Replace the value by one of the same shape and dtype."""
        raise NotImplementedError

    @property
    def is_scalar(self) -> bool:
        """Whether NumPy would have a scalar here, which is immutable, rather than an array."""
        return False

    # ---- attributes
    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.node.dtype

    @property
    def ndim(self) -> int:
        return len(self.node.shape)

    @property
    def size(self) -> int:
        return ArrayType(self.node.shape, self.node.dtype).size

    @property
    def T(self) -> Any:  # noqa: N802  NumPy's name
        return self.transpose()

    # ---- values
    def _value(self, wanted: str) -> Any:
        value = self.node.value
        if value is None:
            raise BranchError.because(
                f"{wanted} of a traced value {self.node.type!r} whose number is not known",
                "a compiled function is traced once, on types alone: it cannot branch on values, "
                "print them or turn them into Python numbers",
                "np.where(condition, a, b) for a choice, bg.scan for a loop; or call the function "
                "without compile: under bg.grad values are known",
            )
        if context.reads is not None:
            context.reads.append(origin(2))
        return value

    def _taken(self, wanted: str) -> Any:
        """A value that goes on outside of the graph, of which a derivative should know."""
        value = self._value(wanted)
        if context.taken is not None:
            context.taken.append(self.node)
        return value

    def __bool__(self) -> bool:
        return bool(self._value("bool()"))

    def __float__(self) -> float:
        refuse_loss()
        return float(self._taken("float()"))

    def __int__(self) -> int:
        return int(self._value("int()"))

    def __complex__(self) -> complex:
        refuse_loss()
        return complex(self._taken("complex()"))

    def __index__(self) -> int:
        return self._value("use as an index").__index__()

    def item(self, *args: Any) -> Any:
        """The value as a Python number: a constant to every derivative."""
        return np.asarray(self._taken("item()")).item(*args)

    def tolist(self) -> Any:
        """The values as nested lists: constants to every derivative."""
        return np.asarray(self._taken("tolist()")).tolist()

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise array_error()

    def __repr__(self) -> str:
        node = self.node
        return f"Box({node.type!r})" if node.value is None else f"Box({node.value!r})"

    def __format__(self, spec: str) -> str:
        return format(self._value("format()"), spec) if spec else repr(self)

    def __len__(self) -> int:
        if not self.node.shape:
            raise TypeError("len() of unsized object")
        return self.node.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.node.shape:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.node.shape[0]))

    __hash__ = None  # type: ignore[assignment]

    # ---- NumPy's protocols
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            primitive = primitive_of(ufunc)
            if primitive is not None:
                return OwnBox(apply(primitive, inputs))
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call_function(function, args, kwargs)

    # ---- indexing
    def __getitem__(self, key: Any) -> Any:
        return indexing.get(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        indexing.set(self, key, value)

    # ---- views
    @property
    def memory(self) -> Any:
        """An array that lies in memory as NumPy's would: it tells what is a view and what a copy."""
        raise NotImplementedError

    def view_through(
        self, lens: Primitive, parameters: dict[str, Any], put: Callable[[Node, Node], Node], made: Any = None
    ) -> Any:
        """A lens on this box: what a primitive shows of it, and how that is written."""
        return ViewBox(self, lens, parameters, put, made or apply(lens, (self.node,), parameters))

    def reshape(self, *sizes: Any, order: str = "C", copy: bool | None = None) -> Any:
        wanted = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer)) else sizes
        if order not in ("C", "A"):
            return self.T.reshape(tuple(wanted)[::-1]).T
        old = self.node
        new = known_shape(old, wanted)
        if new == old.shape and copy is not True:
            return self if not self.is_scalar else wrap(old)
        made, memory = apply(shape.reshape, (self,), {"shape": new}), self.memory
        if copy is not True and np.may_share_memory(memory.reshape(new), memory):
            return self.view_through(shape.reshape, {"shape": new}, _reshaped_back, made)
        return wrap(made)

    def transpose(self, *axes: Any) -> Any:
        if len(axes) == 1 and (axes[0] is None or not isinstance(axes[0], (int, np.integer))):
            axes = axes[0] if axes[0] is not None else ()
        order = tuple(axes) or tuple(range(self.ndim))[::-1]
        order = tuple(int(a) + self.ndim if a < 0 else int(a) for a in order)
        if sorted(order) != list(range(self.ndim)):
            raise ShapeError.because(
                f"transpose of {self.node.type!r} with axes {axes}",
                "axes name every axis once",
                f"a permutation of {tuple(range(self.ndim))}",
            )
        if order == tuple(range(self.ndim)):
            return self
        back = {"axes": shape.inverse(order)}
        return self.view_through(
            shape.transpose, {"axes": order}, lambda node, value: apply(shape.transpose, (value,), back)
        )

    # ---- copies
    def copy(self, order: str = "C") -> Any:
        """A box of its own: writes to it do not reach this one."""
        node = self.node
        memory = np.empty_like(self.memory, bool, order=order)  # type: ignore[call-overload]
        moved = not _alike(self.memory, memory)
        inner = apply(elementwise.identity, (node,)) if moved or node.number < context.body else node
        made = OwnBox(inner, self.is_scalar)
        made.laid = memory
        _lay(inner, memory)
        return made

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", copy: bool = True, **_: Any
    ) -> Any:
        new = np.dtype(dtype)
        node = self.node
        if new == node.dtype and not node.weak:
            return self.copy() if copy else self
        return wrap(apply(elementwise.cast, (node,), {"dtype": new}))


class OwnBox(Box):
    """A box with a node of its own."""

    __slots__ = ("_node", "_scalar", "laid")

    def __init__(self, node: Node, scalar: bool = True) -> None:
        self._node = node
        self._scalar = scalar
        self.laid: Any = None
        """How it lies in memory: an array, or the node that it stood for before the first write."""

    @property
    def node(self) -> Node:
        return self._node

    @property
    def is_scalar(self) -> bool:
        return self._scalar and not self._node.shape

    @property
    def memory(self) -> Any:
        if self.laid is None or isinstance(self.laid, Node):
            return layout(self.laid or self._node)
        return self.laid

    def write(self, node: Node) -> None:
        if self._node.number < context.body:
            raise TraceError.because(
                "a write in the cell of a scan into an array from outside of it",
                "the cell is traced once and runs many times: the write would be lost or done once",
                "the array as part of the carry; or h = h.copy() before the write",
            )
        if self.laid is None:
            self.laid = self._node
        _lay(node, self.memory)
        self._node = node


class ViewBox(Box):
    """A lens on another box."""

    __slots__ = ("_lens", "_put", "_seen", "_shown", "base", "parameters")

    def __init__(
        self, base: Box, lens: Primitive, parameters: dict[str, Any], put: Callable[[Node, Node], Node],
        made: Node,
    ) -> None:  # fmt: skip
        self.base, self._lens, self.parameters, self._put = base, lens, parameters, put
        self._seen, self._shown = base.node, made

    @property
    def node(self) -> Node:
        node = self.base.node
        if node is not self._seen:
            self._seen, self._shown = node, apply(self._lens, (node,), self.parameters)
        return self._shown

    @property
    def memory(self) -> Any:
        meaning: Any = self._lens.meaning
        return meaning(self.base.memory, **self.parameters)

    def write(self, node: Node) -> None:
        self.base.write(self._put(self.base.node, node))
        _lay(node, self.memory)
        self._seen, self._shown = self.base.node, node


def _reshaped_back(node: Node, value: Node) -> Node:
    return apply(shape.reshape, (value,), {"shape": node.shape})


def _alike(a: Any, b: Any) -> bool:
    return (a.flags.c_contiguous, a.flags.f_contiguous) == (b.flags.c_contiguous, b.flags.f_contiguous)


def _lay(node: Node, memory: Any) -> None:
    """Let what is computed of a node find it in the order of its box."""
    if len(node.shape) > 1 and not _alike(layout(node), memory):
        if node.value is None:
            context.laid[node.number] = memory
        else:
            value, node.value = node.value, np.empty_like(memory, dtype=node.dtype)
            node.value[...] = value


_ANYHOW = (index.slice, index.gather, shape.transpose, shape.broadcast)
_MOVING = (
    *_ANYHOW, shape.reshape, shape.concatenate, reduce.sum, reduce.prod, reduce.max, reduce.min,
    reduce.cumsum, reduce.cumprod, reduce.sort,
)  # fmt: skip
"""Primitives whose results lie as their meaning says, which is asked on arrays of one byte an element."""
_OF_FIRST = (index.put, index.put_slice, index.gather)
_KEEPING = (index.put, index.put_slice, elementwise.cast, elementwise.identity, elementwise.where)


def layout(node: Node, depth: int = 30) -> Any:
    """An array that lies in memory as the value does; without values, as NumPy's rules would have it."""
    if node.value is not None:
        return np.asarray(node.value)
    found = context.laid.get(node.number)
    if found is None:
        moves = node.primitive in _MOVING
        kept = node.primitive in _KEEPING or isinstance(getattr(node.primitive, "meaning", None), np.ufunc)
        inputs = node.inputs[:1] if node.primitive in _OF_FIRST else node.inputs
        if depth and (moves or kept):
            found = _follows(node, [layout(x, depth - 1) for x in inputs], moves)
        else:
            found = np.empty(node.shape, bool)
        context.laid[node.number] = found
    return found


def _follows(node: Node, inputs: list[Any], moves: bool) -> Any:
    """A result laid out after its inputs. Arrays are only reserved, and stay untouched where it can be."""
    plain = all(x.flags.c_contiguous for x in inputs)
    if moves and not (plain and node.primitive not in _ANYHOW):
        meaning: Any = node.primitive and node.primitive.meaning
        positions = [np.zeros(x.shape, np.intp) for x in node.inputs[len(inputs) :]]
        return meaning(*inputs, *positions, **node.parameters)
    parts = [x for x in inputs if x.shape == node.shape]
    if plain or not parts:
        return np.empty(node.shape, bool)
    output: Any = [*(None for _ in parts), bool]
    return np.nditer([*parts, None], ["zerosize_ok"], order="K", op_dtypes=output).operands[-1]


def wrap(node: Node) -> Any:
    """The box of a new node."""
    return OwnBox(node)


def known_shape(node: Node, wanted: Any) -> tuple[int, ...]:
    """A requested shape with -1 filled in."""
    sizes = tuple(int(n) for n in ((wanted,) if is_integer(wanted) else wanted))
    total = ArrayType(node.shape, node.dtype).size
    if -1 in sizes:
        rest = ArrayType(tuple(n for n in sizes if n != -1), node.dtype).size
        if sizes.count(-1) == 1 and rest and total % rest == 0:
            return tuple(total // rest if n == -1 else n for n in sizes)
    elif ArrayType(sizes, node.dtype).size == total:
        return sizes
    raise ShapeError.because(
        f"cannot reshape {node.type!r} ({total} elements) into {sizes}",
        "the number of elements must stay the same, and at most one size may be -1",
        f"x.reshape({(*node.shape[:-1], -1) if node.shape else (-1,)})",
    )
