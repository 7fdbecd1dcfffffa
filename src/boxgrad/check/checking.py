"""``check``: is somebody's gradient right, and if not, what is wrong with it, and where.

The order in which things are asked: can the claim be called, is it the same twice, is it right at several
points, is it right for other sizes; and only then what mistake explains it. Knows the order; each question is
answered elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from boxgrad.check.claim import ClaimProblem, claim_of
from boxgrad.check.examine import Examination
from boxgrad.check.subject import Subject
from boxgrad.check.verdict import Finding, Verdict
from boxgrad.check.words import sentence
from boxgrad.errors import TraceError, message
from boxgrad.explain.words import LANGUAGES


def check(
    function: Callable[..., Any], mine: Any, *args: Any, wrt: Any = None, lang: str = "en", seed: int = 0
) -> Verdict:
    """Say whether a gradient is right and, where it is wrong, name the mistake and its place.

    ``∂L/∂x`` is compared in norm, relative to its size, to 1e-7 (1e-5 where an argument or a gradient is in
    single precision), at the given arguments, at random ones like them, and at other sizes where the function
    allows it.

    Args:
        function: plain NumPy that returns one real number, L. mine: the claim: a function of the same
        arguments that returns ∂L/∂(argument) for each, in the arguments'
            shapes; a mapping from names to functions or arrays; arrays; or a formula, ``"dL/dW = X.T @
            dL/dN"``.
        args: arrays, numbers, modules; the shapes are those of the examination.
        wrt: the arguments that the claim is about, by name or number; None for all real ones.
        lang: language of the words, "en" or "zh".
        seed: of the random points.

    Returns:
        a verdict: ``ok``, ``findings``, ``errors``; print it, show it in a notebook, ``raise_if_wrong()`` in
        tests.

    Raises:
        BoxgradError: the function cannot be traced or does not return one real number.

    >>> import numpy as np
    >>> def loss(X, W):
    ...     N = X @ W
    ...     return np.sum(N ** 2)
    >>> def mine(X, W):
    ...     N = X @ W
    ...     return 2 * N @ W.T, X.T @ N
    >>> verdict = check(loss, mine, np.ones((3, 2)), np.ones((2, 4)))
    >>> verdict.ok, verdict.findings[0].argument, verdict.findings[0].kind
    (False, 'W', 'constant factor')
    """
    if lang not in LANGUAGES:
        raise TraceError(
            message(
                f"lang={lang!r}", f"the words are there in {', '.join(LANGUAGES)}", "lang='en' or lang='zh'"
            )
        )
    subject = Subject(function, args, wrt, seed)
    if subject.varies():
        text = sentence("function not deterministic", lang)
        finding = Finding("", "not deterministic", explanation=text)
        return Verdict(None, (finding,), title=subject.title, lang=lang, model=subject.model)
    try:
        claim = claim_of(mine, function, args, wrt, subject, lang)
    except ClaimProblem as problem:
        finding = Finding(problem.argument, problem.kind, explanation=problem.text)
        ok = None if problem.kind == "does not parse" else False
        return Verdict(ok, (finding,), title=subject.title, lang=lang, model=subject.model)
    with np.errstate(all="ignore"):
        return Examination(subject, claim, lang).verdict()
