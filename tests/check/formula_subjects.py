"""Functions that formulas are about, and the truth about them by hand."""

from __future__ import annotations

import numpy as np

from boxgrad.check.formula import formula_claim, formula_findings
from boxgrad.check.subject import Subject

_random = np.random.default_rng(5)


def normal(*shape):
    return _random.normal(size=shape)


def chapter(X, W):
    N = X @ W
    S = 1 / (1 + np.exp(-N))
    L = np.sum(S)
    return L


def layer(X, W, b, Y):
    N = X @ W + b
    S = np.tanh(N)
    E = S - Y
    L = np.mean(E**2)
    return L


def fan(x, v):
    a = np.tanh(x)
    c = a * x
    L = np.sum(c * v)
    return L


CHAPTER = Subject(chapter, (normal(3, 3), normal(3, 2)))
LAYER = Subject(layer, (normal(7, 3), normal(3, 5), normal(5), normal(7, 5)))
FAN = Subject(fan, (normal(6), normal(6)))


def claimed(text, subject=CHAPTER, chosen=("X",), lang="en"):
    return formula_claim(text, subject, chosen, lang)


def right(text, subject=CHAPTER, chosen=("X",)):
    return all(formula.right for formula in claimed(text, subject, chosen).formulas)


def found(text, subject=CHAPTER, lang="en"):
    """The findings of a text."""
    return formula_findings(claimed(text, subject, lang=lang), subject, lang=lang)
