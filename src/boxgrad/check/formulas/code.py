"""A formula as a line of Python: parsed with ``ast``, never run. Only what a formula needs is understood.

``dL/dX`` is the gradient of the result, ``dS/dN`` a partial derivative, ``dsigma(N)`` the derivative of a
function; ``dX``, ``dL_dX`` and ``grad_X`` are gradients too. Knows Python's grammar; knows no numbers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import final

from boxgrad.check.claim_words import WORDS
from boxgrad.check.claimed import ClaimProblem, nearest
from boxgrad.check.formulas.names import WHOLE
from boxgrad.check.formulas.style import Style
from boxgrad.check.formulas.terms import Term, gradient, name, number
from boxgrad.check.formulas.tokens import Source
from boxgrad.explain.words import word

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "power",
    ast.MatMult: "matmul",
}  # fmt: skip
_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.Gt: ">", ast.LtE: "<=", ast.GtE: ">=",
}  # fmt: skip
_REDUCTIONS = {"sum": "Σ", "mean": "mean", "prod": "Π", "max": "max", "min": "min"}
_BINARY = {"multiply": "multiply", "matmul": "matmul", "dot": "matmul", "add": "add", "subtract": "subtract",
           "divide": "divide", "power": "power", "outer": "outer"}  # fmt: skip
_DERIVATIVE = re.compile(r"\b(d|∂)([^\W\d]\w*?)\s*/\s*(?:d|∂)([^\W\d]\w*)")


class NotPythonError(ClaimProblem):
    """A formula that Python's grammar does not have; it may be mathematics as one types it."""


@final
class CodeParser:
    """One right side in Python."""

    def __init__(self, source: Source, style: Style, local: dict[str, Term]) -> None:
        self.source, self.style, self.local = source, style, local
        self.vocabulary = source.vocabulary
        self._derivatives: dict[str, Term] = {}

    # ---- an equation
    def equation(self) -> tuple[Term | str | None, list[Term]]:
        """The left side (a gradient, a name defined here, or None), and the right side."""
        line = self.source.line
        found = re.search(r"(?<![=!<>])=(?!=)", line)
        if found is None:
            return None, [self.expression(line, 0)]
        left = line[: found.start()]
        self.style.left = left.strip()
        bare = left.strip()
        if bare.isidentifier() and self.value(bare) is None and self.gradient_name(bare) is None:
            return bare, [self.expression(line[found.end() :], found.end())]
        target = self.expression(left, 0)
        return target, [self.expression(line[found.end() :], found.end())]

    def expression(self, text: str, offset: int) -> Term:
        """A Python expression as a tree."""
        start = len(text) - len(text.lstrip())
        clean = self._without_derivatives(text, offset)
        if self.vocabulary.key("T") is None:  # W^T as in mathematics; ^ binds loosely in Python
            clean = re.sub(r"\^T\b", ".T", clean)
        if "^" in clean:
            raise NotPythonError("does not parse", text, at=offset + clean.index("^"))
        try:
            tree = ast.parse(clean.strip(), mode="eval")
        except (SyntaxError, ValueError) as error:  # ast.parse says either
            column = (getattr(error, "offset", None) or 1) - 1 + offset + start
            wanted = word("operand", self.source.lang, WORDS)
            column = min(column, len(self.source.line))
            rest = self.source.line[column : column + 1]
            found = rest if rest.strip() else word("ends", self.source.lang, WORDS)
            problem = self.source.problem("expected", column, wanted=wanted, found=found)
            raise NotPythonError(problem.kind, problem.text, at=problem.at) from None
        self._offset = offset + start
        return self._of(tree.body)

    def _without_derivatives(self, text: str, offset: int) -> str:
        """dL/dS as one name of the same length."""

        def replaced(found: re.Match[str]) -> str:
            of, by = found[2], found[3]
            key = self.vocabulary.key(by)
            mark = f"D{len(self._derivatives)}_".ljust(len(found[0]), "_")
            if key is None:
                if self.vocabulary.is_output(of) and self.vocabulary.key(f"d{of}") is None:
                    raise self.unknown(by, offset + found.start(3))
                return found[0]
            if self.vocabulary.is_output(of):
                self.style.note_derivative("inline", of)
                self.style.note_differential(found[1])
                self._derivatives[mark] = gradient(key)
            elif (value := self.vocabulary.key(of)) is not None:
                self._derivatives[mark] = Term("partial", (), (value, key))
            elif (function := self.vocabulary.function(of)) is not None:
                self.style.note_function(function, of, "d")
                self._derivatives[mark] = Term("slope", (name(key),), (function, ""))
            else:
                raise self.unknown(of, offset + found.start(2))
            return mark

        return _DERIVATIVE.sub(replaced, text)

    # ---- names
    def value(self, text: str) -> Term | None:
        if text in self.local:
            return self.local[text]
        if text in self._derivatives:
            return self._derivatives[text]
        key = self.vocabulary.key(text)
        if key is None:
            return None
        self.style.note_symbol(key, text)
        return name(key)

    def gradient_name(self, text: str) -> Term | None:
        """dX, dL_dX, dLdX, grad_X."""
        for pattern, form in (
            (r"d(\w+?)_?d_?(\w+)$", "joined"),
            (r"d_?(\w+)$", "short"),
            (r"grad_?(\w+)$", "short"),
        ):
            found = re.match(pattern, text)
            if found is None:
                continue
            key = self.vocabulary.key(found[len(found.groups())])
            if key is not None and (form != "joined" or self.vocabulary.is_output(found[1])):
                if not self.style.derivative:
                    self.style.note_derivative(form, found[1] if form == "joined" else "")
                return gradient(key)
        return None

    def unknown(self, text: str, at: int) -> ClaimProblem:
        """A complaint about a name that the function does not have."""
        known = [key for key, value in self.vocabulary.values.items() if not value.automatic]
        near = nearest(text, known)
        suggestion = word("meant", self.source.lang, WORDS, found=near) if near else ""
        return self.source.problem("name", at, name=text, known=", ".join(known[:12]), suggestion=suggestion)

    # ---- the tree
    def _of(self, node: ast.expr) -> Term:
        handler: Callable[[ast.expr], Term] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if handler is None:
            raise self._refused(node)
        return handler(node)

    def _at(self, node: ast.expr) -> int:
        return self._offset + node.col_offset

    def _refused(self, node: ast.expr) -> ClaimProblem:
        text = ast.unparse(node)
        text = text if len(text) < 30 else text[:27] + "…"
        return self.source.problem("construct", self._at(node), name=text)

    def _constant(self, node: ast.Constant) -> Term:
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            return number(node.value)
        raise self._refused(node)

    def _name(self, node: ast.Name) -> Term:
        found = self.value(node.id) or self.gradient_name(node.id)
        if found is None:
            if node.id in ("N", "n", "m", "B", "batch", "batch_size"):
                return Term("count", (), node.id)
            raise self.unknown(node.id, self._at(node))
        return found

    def _unaryop(self, node: ast.UnaryOp) -> Term:
        if isinstance(node.op, ast.USub):
            return Term("negative", (self._of(node.operand),))
        if isinstance(node.op, ast.UAdd):
            return self._of(node.operand)
        raise self._refused(node)

    def _binop(self, node: ast.BinOp) -> Term:
        if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            op = "both" if isinstance(node.op, ast.BitAnd) else "either"
            return Term(op, (self._of(node.left), self._of(node.right)))
        op = _OPERATORS.get(type(node.op), "")
        if not op:
            raise self._refused(node)
        left, right = self._of(node.left), self._of(node.right)
        if op == "multiply" and "partial" in (left.op, right.op):
            return Term("chain", (left, right), ("*",))
        if op == "matmul" and "partial" in (left.op, right.op):
            return Term("chain", (left, right), ("·",))
        return Term(
            op, (left, right), ("*" if op == "multiply" else "@", (False, False)) if "m" in op[:2] else "/"
        )

    def _compare(self, node: ast.Compare) -> Term:
        if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARED:
            raise self._refused(node)
        parts = (self._of(node.left), self._of(node.comparators[0]))
        return Term("indicator", (Term("compare", parts, _COMPARED[type(node.ops[0])]),))

    def _attribute(self, node: ast.Attribute) -> Term:
        if node.attr in ("T", "mT"):
            return Term("transpose", (self._of(node.value),))
        if node.attr == "size":
            return self._size(node.value, None, node)
        if node.attr == "pi" and ast.unparse(node.value) in ("np", "numpy", "math"):
            return number(3.141592653589793)
        raise self._refused(node)

    def _size(self, node: ast.expr, axis: int | None, whole: ast.expr) -> Term:
        value = self.value(node.id) if isinstance(node, ast.Name) else None
        if value is None or value.op != "name":
            raise self._refused(whole)
        shape = self.vocabulary.values[value.mark].shape
        size = 1
        for length in shape if axis is None else shape[axis : axis + 1] if axis >= 0 else shape[axis:][:1]:
            size *= length
        return Term("counted", (), (ast.unparse(whole), size))

    def _subscript(self, node: ast.Subscript) -> Term:
        value = node.value
        if isinstance(value, ast.Call) and ast.unparse(value.func) in ("np.eye", "np.identity"):
            size = value.args[0] if value.args else value
            if not isinstance(size, ast.Constant) or not isinstance(size.value, int):
                raise self._refused(node)
            return Term("call", (self._of(node.slice),), ("onehot", str(size.value)))
        if isinstance(value, ast.Attribute) and value.attr == "shape":
            axis = ast.unparse(node.slice)
            if re.fullmatch(r"-?\d+", axis):
                return self._size(value.value, int(axis), node)
        text = (
            re.sub(r"[\s()]", "", ast.unparse(node.slice)).replace("...", "…").replace("np.newaxis", "None")
        )
        if not re.fullmatch(r"[\d:,\-…]*(None[\d:,\-…]*)*", text):
            raise self._refused(node)
        return Term("item", (self._of(value),), (text.strip(","), 0))

    # ---- calls
    def _call(self, node: ast.Call) -> Term:
        function = node.func
        if isinstance(function, ast.Attribute):
            owner = ast.unparse(function.value)
            if owner in ("np", "numpy", "bg", "boxgrad", "scipy.special", "special", "math"):
                return self._named(node, function.attr, node.args)
            return self._named(node, function.attr, [function.value, *node.args])
        if isinstance(function, ast.Name):
            return self._named(node, function.id, node.args)
        raise self._refused(node)

    def _options(self, node: ast.Call, allowed: tuple[str, ...]) -> dict[str, object]:
        found: dict[str, object] = {}
        for keyword in node.keywords:
            try:
                found[str(keyword.arg)] = ast.literal_eval(keyword.value)
            except ValueError:
                raise self._refused(keyword.value) from None
            if keyword.arg not in allowed:
                raise self._refused(node)
        return found

    def _named(self, node: ast.Call, called: str, arguments: list[ast.expr]) -> Term:
        if called in _REDUCTIONS and not (called in ("max", "min") and len(arguments) == 2):
            return self._reduction(node, called, arguments)
        if called == "len" and len(arguments) == 1:
            return self._size(arguments[0], 0, node)
        if called in ("one_hot", "onehot"):
            sizes = [one.value for one in arguments[1:] if isinstance(one, ast.Constant)]
            return Term("call", (self._of(arguments[0]),), ("onehot", "".join(map(str, sizes))))
        if called in ("ones", "zeros"):
            return self._filled(node, called, arguments)
        if called in ("reshape", "transpose", "swapaxes") and len(arguments) > 1:
            return self._rearranged(node, called, arguments)
        slope = re.match(r"^d_?(\w+)$|^(\w+?)_?(?:prime|deriv|derivative|grad)$", called)
        known = self.vocabulary.function(called)
        axes = self._options(node, ("axis", "axes")) if called in ("flip", "softmax") else {}
        parts = tuple(self._of(one) for one in arguments)
        if called in _BINARY and len(parts) == 2:
            op = _BINARY[called]
            mark = {"multiply": ("*", (False, False)), "matmul": ("@", (False, False))}.get(op, "/")
            return Term(op, parts, mark)
        if called == "transpose" and len(parts) == 1:
            return Term("transpose", parts)
        if called == "negative" and len(parts) == 1:
            return Term("negative", parts)
        if called in ("ones_like", "zeros_like") and len(parts) == 1:
            zero = Term("multiply", (number(0), parts[0]), ("*", (False, False)))
            return Term("add", (number(1), zero), "+") if called == "ones_like" else zero
        if called == "where" and len(parts) == 3:
            return Term("where", (parts[1], parts[0], parts[2], number(1)))
        if called in ("maximum", "minimum") and len(parts) == 2:
            return Term("call", parts, (called[:3], ""))
        if called in ("conv", "correlate", "convolve") and len(parts) == 2:
            return Term("chain", parts, ("∗" if called == "convolve" else "⋆",))
        if known is not None and len(parts) == 1:
            self.style.note_function(known, called, "") if called != known else None
            return Term("call", parts, (known, ""))
        if slope and len(parts) == 1:
            return self._slope(slope[1] or slope[2], parts[0], node)
        if called in WHOLE or called == "rot180":
            note = ",".join(str(n) for n in _numbers(axes.get("axis"))) if axes else ""
            return Term("call", parts, ("flip" if called == "rot180" else called, note))
        near = nearest(called, [*self.vocabulary.functions, "exp", "log", "sum", "sigmoid", "tanh", "relu"])
        suggestion = word("meant", self.source.lang, WORDS, found=near) if near else ""
        raise self.source.problem("function", self._at(node), name=called, suggestion=suggestion)

    def _slope(self, function: str, argument: Term, node: ast.Call) -> Term:
        known = self.vocabulary.function(function)
        if known is not None:
            self.style.note_function(known, function, "d")
            return Term("slope", (argument,), (known, ""))
        if argument.op == "name" and self.vocabulary.applied_to(argument.mark) is not None:
            self.style.note_function("applied", function, "d")
            return Term("slope", (argument,), ("applied", argument.mark))
        near = nearest(function, [*self.vocabulary.functions, "sigma", "tanh", "relu", "exp"])
        suggestion = word("meant", self.source.lang, WORDS, found=near) if near else ""
        raise self.source.problem("function", self._at(node), name=f"d{function}", suggestion=suggestion)

    def _reduction(self, node: ast.Call, called: str, arguments: list[ast.expr]) -> Term:
        options = self._options(node, ("axis", "keepdims"))
        if len(arguments) > 1:
            try:
                options.setdefault("axis", ast.literal_eval(arguments[1]))
            except ValueError:
                raise self._refused(arguments[1]) from None
        axis = options.get("axis")
        try:
            axes = None if axis is None else _numbers(axis)
        except (TypeError, ValueError):
            raise self._refused(node) from None
        body = self._of(arguments[0])
        return Term("sum", (body,), (_REDUCTIONS[called], axes, bool(options.get("keepdims", False))))

    def _filled(self, node: ast.Call, called: str, arguments: list[ast.expr]) -> Term:
        try:
            shape = _numbers(ast.literal_eval(arguments[0]))
        except (ValueError, TypeError, IndexError):
            value = arguments[0] if arguments else node
            if not (isinstance(value, ast.Attribute) and value.attr == "shape"):
                raise self._refused(node) from None
            zero = Term("multiply", (number(0), self._of(value.value)), ("*", (False, False)))
            return Term("add", (number(1), zero), "+") if called == "ones" else zero
        made = Term("ones", (), shape)
        return made if called == "ones" else Term("multiply", (number(0), made), ("*", (False, False)))

    def _rearranged(self, node: ast.Call, called: str, arguments: list[ast.expr]) -> Term:
        try:
            given = [ast.literal_eval(one) for one in arguments[1:]]
        except ValueError:
            raise self._refused(node) from None
        try:
            sizes = _numbers(given[0] if len(given) == 1 else given)
        except (TypeError, ValueError):
            raise self._refused(node) from None
        if called == "reshape":
            return Term("call", (self._of(arguments[0]),), ("reshape", "×".join(map(str, sizes))))
        if called == "swapaxes":
            if {n % 2 for n in sizes} != {0, 1}:
                raise self._refused(node)
            return Term("transpose", (self._of(arguments[0]),))
        if sizes == (1, 0):
            return Term("transpose", (self._of(arguments[0]),))
        letters = "ijklmn"[: len(sizes)]
        if sorted(sizes) != list(range(len(letters))):
            raise self._refused(node)
        note = letters + "→" + "".join(letters[n] for n in sizes)
        return Term("call", (self._of(arguments[0]),), ("permute", note))


def _numbers(value: object) -> tuple[int, ...]:
    return tuple(int(n) for n in value) if isinstance(value, (tuple, list)) else (int(value),)  # type: ignore[call-overload]
