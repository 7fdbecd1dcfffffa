"""What somebody claims the gradient to be: a function, a mapping, an array, a formula, a backward pass.

Knows how each is called and read; what it gives is compared elsewhere.
"""

from __future__ import annotations

import inspect
import re
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, final

import numpy as np

from boxgrad import tree
from boxgrad.check.claimed import Arrays, Claim, ClaimProblem
from boxgrad.check.formula import FormulaClaim, formula_claim
from boxgrad.check.layout import Layout
from boxgrad.check.verdict import Finding
from boxgrad.trace.tracer import inspect_unwrap
from boxgrad.types import is_ndarray

__all__ = ["Claim", "ClaimProblem", "FormulaClaim", "claim_of"]

_OWN = (str(Path(__file__).parents[1]), str(Path(np.__file__).parent))


def claim_of(mine: Any, f: Any, args: Sequence[Any], wrt: Any, subject: Any, lang: str = "en") -> Claim:
    """A claim in any of its forms, read against the function that it is about.

    Args:
        mine: a function with the arguments of ``f`` that returns a gradient, a tuple (None where nothing is
            claimed), a dict or a module; a mapping from names of arguments, or of a module's parameters, to
            functions, arrays or formulas; an array; a formula, several in a list or on several lines; an
            object with ``forward`` and ``backward(saved)``.
        f: the function; ``args`` where it was traced; ``wrt`` the arguments chosen there.
        subject: the traced function.
        lang: language of the words, "en" or "zh".

    Raises:
        ClaimProblem: it is none of these, raises, or gives what cannot be compared.
    """
    layout = Layout(f, args, subject.model, lang, wrt)
    if isinstance(mine, str) or (_is_texts(mine) and mine):
        return formula_claim(mine, subject, layout.chosen, lang)
    if isinstance(mine, Mapping):
        return _mapping(mine, args, layout, subject, lang)
    backward = getattr(mine, "backward", None)
    if callable(backward) and callable(getattr(mine, "forward", None)) and not tree.is_registered(mine):
        return FunctionClaim(_passes(mine.forward, backward), "backward", args, layout)
    if inspect.isfunction(mine) and list(inspect.signature(mine).parameters) == ["saved"]:
        forward = mine.__globals__.get("forward")
        if callable(forward):
            return FunctionClaim(_passes(forward, mine), mine.__name__, args, layout)
    if callable(mine) and not isinstance(mine, ModuleType) and not tree.is_array(mine):
        if tree.is_registered(mine) and tree.leaves(mine):
            return ArrayClaim(layout.arrays(mine, type(mine).__name__))
        inner = inspect_unwrap(mine)
        return FunctionClaim(mine, getattr(inner, "__name__", type(inner).__name__), args, layout)
    if mine is None or isinstance(mine, (ModuleType, bytes, set, type)):
        example = '"dL/dX = dL/dN @ W.T"'
        text = layout.say("cannot_claim", kind=type(mine).__name__, example=example)
        raise ClaimProblem("returns nothing", text)
    if len(layout.claimable) > 1 and (tree.is_array(mine) or np.isscalar(mine)):
        text = layout.say("one_array", wanted=layout.wanted, example=layout.claimable[0].name)
        raise ClaimProblem("wrong number of results", text)
    return ArrayClaim(layout.arrays(mine, type(mine).__name__))


def _is_texts(mine: Any) -> bool:
    return isinstance(mine, (list, tuple)) and all(isinstance(one, str) for one in mine)


def _passes(forward: Callable[..., Any], backward: Callable[[Any], Any]) -> Callable[..., Any]:
    """A forward and a backward pass as one function, as a standalone file has them."""

    def both(*args: Any) -> Any:
        made = forward(*args)
        return backward(made[-1] if isinstance(made, tuple) else made)

    return both


def _mapping(mine: Mapping[Any, Any], args: Sequence[Any], layout: Layout, subject: Any, lang: str) -> Claim:
    """A claim made of one for each name."""
    parts: list[Claim] = []
    arrays: dict[Any, Any] = {}
    for key, value in mine.items():
        if isinstance(value, str):
            name = layout.resolve(key, "dict")
            parts.append(formula_claim(value, subject, (name,), lang))
        elif callable(value) and not tree.is_array(value) and not tree.is_registered(value):
            name = layout.resolve(key, "dict")
            title = getattr(value, "__name__", type(value).__name__)
            parts.append(FunctionClaim(value, title, args, layout, name))
        elif value is not None:
            arrays[key] = value
    if arrays or not parts:
        parts.append(ArrayClaim(layout.arrays(arrays, "dict")))
    return parts[0] if len(parts) == 1 else Several(parts)


@final
class ArrayClaim(Claim):
    """Arrays: known at the arguments they were computed for, and nowhere else."""

    fixed = True

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self.arguments = tuple(arrays)

    def gradients(self, args: Sequence[Any]) -> Arrays:
        """The arrays, whatever the point."""
        return {name: array.copy() for name, array in self._arrays.items()}


@final
class FunctionClaim(Claim):
    """A function of the same arguments; with ``only``, its result is the gradient of that input alone."""

    def __init__(
        self, function: Callable[..., Any], name: str, args: Sequence[Any], layout: Layout, only: str = ""
    ) -> None:
        self._function, self._layout, self._only = function, layout, only
        self.name = "mine" if name == "<lambda>" else name
        self._check_signature(args)
        self.arguments = tuple(self.gradients(args))

    def _check_signature(self, args: Sequence[Any]) -> None:
        try:
            signature = inspect.signature(inspect_unwrap(self._function))
            signature.bind(*args)
        except ValueError:  # some callables of C have no signature
            return
        except TypeError as error:
            text = self._layout.say(
                "signature",
                name=self.name,
                signature=signature,
                given=", ".join(one.name for one in self._layout.arguments),
                error=error,
            )
            raise ClaimProblem("raises", text) from None

    def gradients(self, args: Sequence[Any]) -> Arrays:
        """Call the function on copies of the arguments and read what it returns."""
        own = tree.map(lambda leaf: leaf.copy("K") if is_ndarray(leaf) else leaf, list(args))
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore", RuntimeWarning)
                result = self._function(*own)
        except Exception as error:
            raise ClaimProblem("raises", self._raised(error)) from error
        layout = self._layout
        if self._only:
            if result is None:
                text = layout.say("nothing", name=self.name, wanted=self._only)
                raise ClaimProblem("returns nothing", text, self._only)
            if isinstance(result, tuple) and len(result) == 1:
                (result,) = result
            return {self._only: layout.array(result, self._only)}
        if _is_value_and_gradients(result, layout):
            result = result[1]
        return layout.arrays(result, self.name)

    def _raised(self, error: Exception) -> str:
        where = ""
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if not frame.filename.startswith(_OWN):
                quoted = f"{Path(frame.filename).name}:{frame.lineno}, in {frame.name}: {frame.line}"
                where = self._layout.say("at_line", place=quoted)
                break
        message = re.sub(r"\s+", " ", str(error))
        kind = type(error).__name__
        return self._layout.say("raises", name=self.name, error=kind, message=message, where=where)


def _is_value_and_gradients(result: Any, layout: Layout) -> bool:
    """Whether a result is (value, gradients), as ``bg.value_and_grad`` returns."""
    if not isinstance(result, tuple) or len(result) != 2:
        return False
    value, rest = result
    scalar = np.isscalar(value) or (tree.is_array(value) and np.shape(value) == ())
    held = isinstance(rest, (tuple, list, Mapping)) or tree.is_registered(rest)
    own = layout.claimable
    alike = len(own) == 2 and own[0].is_leaf and not own[1].is_leaf and np.shape(own[0].value) == ()
    return bool(scalar and held and not alike)


@final
class Several(Claim):
    """Claims about different inputs, together."""

    def __init__(self, parts: Sequence[Claim]) -> None:
        self.parts = tuple(parts)
        self.arguments = tuple(dict.fromkeys(name for part in parts for name in part.arguments))
        self.fixed = any(part.fixed for part in parts)
        self.sized = any(part.sized for part in parts)
        self.remarks = tuple(remark for part in parts for remark in part.remarks)

    def gradients(self, args: Sequence[Any]) -> Arrays:
        """The gradients of all parts; a formula whose shapes do not fit has its finding already."""
        found: Arrays = {}
        for part in self.parts:
            try:
                found |= part.gradients(args)
            except ClaimProblem:
                if not isinstance(part, FormulaClaim):
                    raise
        return found

    def findings(self, lang: str) -> tuple[Finding, ...]:
        """What the parts know by themselves."""
        return tuple(one for part in self.parts for one in part.findings(lang))
