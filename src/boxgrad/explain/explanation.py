"""``explain``: a function's gradient three ways, from one model of boxes and values.

The views are made on use. Knows which views there are and how files are named; knows nothing of their inside.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from boxgrad.errors import BoxgradError, TraceError, message
from boxgrad.explain import html
from boxgrad.explain.boxes import Model, group
from boxgrad.explain.code import Code, code_of
from boxgrad.explain.diagram import Diagram, diagram_of
from boxgrad.explain.failure import described_error, extended, partial, so_far, up_to
from boxgrad.explain.math import Math, math_of
from boxgrad.explain.modelling import model_of, traced
from boxgrad.explain.modelling import modelled as modelled
from boxgrad.explain.words import LANGUAGES, word
from boxgrad.graph.node import Graph
from boxgrad.trace.tracer import inspect_unwrap

ENDINGS = (".html", ".svg", ".tex", ".py", ".md", ".dot")


class Explanation:
    """A function's gradient three ways: ``math``, ``diagram`` and ``code``, each made on first use.

    Printed, it is text; in a notebook, mathematics, diagram and code; ``save`` writes a page or one view.
    ``model`` holds the boxes and values; ``notes`` says what is remarkable (an argument that is not used).
    """

    def __init__(
        self,
        model: Model,
        title: str,
        lang: str,
        notes: Sequence[tuple[str, dict[str, Any]]] = (),
        unroll: bool = False,
    ) -> None:
        self.model = model
        self.title = title
        self.lang = lang
        self.unroll = unroll
        """Whether loops are shown step by step."""
        self.failure = ""
        """What stopped the function, where it could not be traced to its end."""
        self._notes = list(notes)
        self._views: dict[tuple[Any, ...], Any] = {}

    # ---- the views
    @property
    def math(self) -> Math:
        """The formulas: ``text``, ``latex``, ``mathml``, ``lines``."""
        return self.math_in(self.lang)

    @property
    def diagram(self) -> Diagram:
        """The boxes and arrows: ``svg``, ``dot``, ``mermaid``."""
        return self.diagram_in(self.lang)

    @property
    def code(self) -> Code:
        """Forward and backward in plain NumPy: ``source``."""
        return self.code_in(self.lang)

    @property
    def unrolled(self) -> Explanation:
        """The same explanation with its loops and repeated boxes unrolled.

        >>> import numpy as np
        >>> def f(h, w):
        ...     for _ in range(5):
        ...         h = np.tanh(w * h)
        ...     return np.sum(h)
        >>> found = explain(f, np.ones(2), np.ones(2))
        >>> len(found.diagram.document.boxes), len(found.unrolled.diagram.document.boxes)
        (4, 6)
        """
        return Explanation(self.model, self.title, self.lang, self._notes, unroll=True)

    def math_in(self, lang: str, unrolled: bool | None = None) -> Math:
        """The formulas with words of a language; ``unrolled``: loops step by step, not as recurrences."""
        unrolled = self.unroll if unrolled is None else unrolled
        return self._view("math", (lang, unrolled), lambda: math_of(self.model, lang, unrolled=unrolled))

    def code_in(self, lang: str) -> Code:
        """The code with comments in a language."""
        return self._view("code", lang, lambda: code_of(self.model, lang))

    def diagram_in(
        self, lang: str, direction: str = "right", open: Sequence[str] = (), unrolled: bool | None = None
    ) -> Diagram:
        """The diagram with words of a language, running right or down, with some boxes open (``"3.1"``).

        ``unrolled`` opens all loops and repeated boxes.
        """
        unrolled = self.unroll if unrolled is None else unrolled
        key = (lang, direction, tuple(open), unrolled)
        return self._view("diagram", key, lambda: diagram_of(self.model, *key))

    def _view(self, kind: str, key: Any, make: Callable[[], Any]) -> Any:
        if (kind, key) not in self._views:
            self._views[kind, key] = make()
        return self._views[kind, key]

    def notes(self, lang: str | None = None) -> list[str]:
        """Sentences about what is remarkable: arguments that are not used, branches on values."""
        return [word(key, lang or self.lang, **values) for key, values in self._notes]

    # ---- shown
    @cached_property
    def page(self) -> str:
        """One HTML file with the three views linked."""
        return html.page(self)

    def __str__(self) -> str:
        parts = [self.title, "═" * len(self.title), *self.notes()]
        if self.failure:
            return "\n".join([*parts, self.failure])
        for name, heading, lines, remarks in self.math.sections():
            if name in ("expanded", "numbers"):
                continue
            texts = [line.text for line in lines]
            room = min(max(map(len, texts), default=0), 64)
            parts += ["", heading]
            parts += [
                f"  {text.ljust(room)}   {line.note}".rstrip()
                for line, text in zip(lines, texts, strict=True)
            ]
            parts += [f"  {remark}" for remark in remarks]
        source = "\n".join(f"  {line}".rstrip() for line in self.code.source.splitlines())
        return "\n".join([*parts, "", word("code", self.lang), source])

    def __repr__(self) -> str:
        return f"<Explanation of {self.title}: {len(self.model.boxes)} boxes>"

    def _repr_html_(self) -> str:
        return html.fragment(self)

    def _repr_latex_(self) -> str:
        return self.math._repr_latex_()

    # ---- saved
    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page, or one view, by the file's ending; the file is whole or not there.

        Args:
            path: ``.html`` the page; ``.svg`` the diagram; ``.tex`` the formulas; ``.py`` the code; ``.md``
                text with the formulas, a Mermaid diagram and the code; ``.dot`` the diagram for Graphviz.

        Returns:
            the path.

        Raises:
            ValueError: another ending.
        """
        target = Path(path)
        ending = target.suffix.lower()
        if ending not in ENDINGS:
            raise SavingError(
                message(
                    f"an explanation cannot be saved as {target.name!r}",
                    f"the ending says what is written, and it is one of {', '.join(ENDINGS)}",
                    f"explanation.save({target.with_suffix('.html').name!r})",
                )
            )
        _write(target, self._content(ending))
        return target

    def _content(self, ending: str) -> str:
        if ending == ".html":
            return self.page
        if ending == ".svg":
            return self.diagram.svg
        if ending == ".dot":
            return self.diagram.dot
        if ending == ".py":
            return self.code.source
        return self.math.latex if ending == ".tex" else html.markdown(self)


class SavingError(BoxgradError, ValueError):
    """A file of a kind that an explanation cannot be written to."""


def _write(path: Path, text: str) -> None:
    """Write a file whole: beside its place first, then under its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def explain(
    function: Callable[..., Any], *args: Any, wrt: Any = None, lang: str = "en", unroll: bool = False
) -> Explanation:
    """Show a function and its gradient three ways: mathematics, diagram, code.

    Args:
        function: plain NumPy that returns one real number (or a 1×1 array of it): a function, a boxed or a
            compiled one. A module is an argument, as in ``explain(loss, model, x, y)``.
        args: arrays, floats, modules: the point at which the numbers are shown.
        wrt: the arguments whose gradients are shown, by name or number; None for all real ones; () for none:
            the forward pass alone, whose result may have any shape.
        lang: language of the words, ``"en"`` or ``"zh"``.
        unroll: whether loops (``bg.scan``, recurrent layers) and repeated boxes (a Python loop) are shown
            step by step, in mathematics and diagram, instead of folded. Of more than ten steps, three at each
            end are. On the page both can be had, by a click; ``explanation.unrolled`` unrolls later.

    Returns:
        an explanation: print it, show it in a notebook, or ``save("page.html")`` it.

    Raises:
        BoxgradError: the function cannot be traced, does not return one real number, or has no real argument.
            The message names the boxes before the failure; ``error.explanation`` draws them. An error of the
            function's own is raised as it is, with the same in a note.

    >>> import numpy as np
    >>> def loss(x, w):
    ...     n = x @ w
    ...     return np.sum(n ** 2)
    >>> print(explain(loss, np.ones((2, 3)), np.ones((3, 2))).math.section("backward")[-1].text)
    ∂L/∂w = xᵀ · ∂L/∂n
    """
    if lang not in LANGUAGES:
        raise TraceError(
            message(
                f"lang={lang!r}", f"the words are there in {', '.join(LANGUAGES)}", "lang='en' or lang='zh'"
            )
        )
    title = title_of(function, args)
    graph = None
    try:
        graph, reads = traced(function, args)
        model = model_of(graph, wrt)
    except Exception as error:
        _explain_failure(error, graph, title, lang)
        raise
    branches = [("note_branch", {"place": ", ".join(reads)})] if reads else []
    return Explanation(model, title, lang, [*_remarkable(model), *branches], unroll)


def title_of(function: Any, args: Sequence[Any]) -> str:
    """The function with its parameters: ``loss(X, W)``."""
    inner = inspect_unwrap(function)
    name = getattr(inner, "__name__", type(inner).__name__)
    try:
        names = list(inspect.signature(inner).parameters)[: len(args)]
    except (TypeError, ValueError):
        names = []
    return f"{'f' if name == '<lambda>' else name}({', '.join(names)})"


def _explain_failure(error: Exception, graph: Graph | None, title: str, lang: str) -> None:
    """Add to an error what was computed before it, in words and as ``error.explanation``."""
    if graph is None:
        model = partial(error)
    else:
        known = up_to(list(graph.outputs))
        model = None if known is None else group(known, ())
    drawn = model is not None and bool(model.boxes)
    lines = so_far(model, lang)[-12:] if model is not None and drawn else []
    lines = [("  so far:  " if n == 0 else "           ") + line for n, line in enumerate(lines)]
    extended(error, [*lines, *(["  picture: error.explanation.save('page.html')"] if drawn else [])], lang)
    if model is not None and drawn:
        explanation = Explanation(model, title, lang)
        explanation.failure = "\n".join([described_error(error), *getattr(error, "__notes__", [])])
        error.explanation = explanation  # type: ignore[attr-defined]


def _remarkable(model: Model) -> list[tuple[str, dict[str, Any]]]:
    """What a reader should know: which arguments the result does not depend on, and where a path is cut."""
    found: list[tuple[str, dict[str, Any]]] = []
    reached = {value for box in model.boxes for value in box.local}
    for value in model.wrt:
        if value.role == "unused":
            found.append(("note_unused", {"y": model.output.name, "x": value.name}))
        elif value not in reached and value is not model.output:
            found.append(("note_cut", {"y": model.output.name, "x": value.name}))
    return found
