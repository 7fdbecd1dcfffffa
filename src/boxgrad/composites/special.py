"""``scipy.special`` on boxes: its ufuncs by name, as plain NumPy over primitives.

Formulas that neither overflow nor cancel. Knows names only: scipy itself is not loaded.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from boxgrad.functions.special import erf, erfc, erfinv, gammaln, polygamma
from boxgrad.trace.table import by_name


def expit(x: Any) -> Any:
    """1/(1 + exp(-x))"""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def log_expit(x: Any) -> Any:
    return -np.logaddexp(0, -x)


def logit(x: Any) -> Any:
    return np.log(x / (1 - x))


def xlogy(x: Any, y: Any) -> Any:
    """x log y, which is 0 where x is 0."""
    return np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, y)))


def xlog1py(x: Any, y: Any) -> Any:
    return np.where(x == 0, 0, x * np.log1p(np.where(x == 0, 0, y)))


def entr(x: Any) -> Any:
    return np.where(x < 0, -np.inf, -xlogy(x, x))


def rel_entr(x: Any, y: Any) -> Any:
    return np.where((x > 0) & (y > 0), xlogy(x, x / y), np.where((x == 0) & (y >= 0), 0, np.inf))


def kl_div(x: Any, y: Any) -> Any:
    return rel_entr(x, y) - x + y


def ndtr(x: Any) -> Any:
    """The distribution function of the standard normal distribution."""
    return erfc(-x * math.sqrt(0.5)) / 2


def ndtri(p: Any) -> Any:
    return math.sqrt(2) * erfinv(2 * p - 1)


def exp10(x: Any) -> Any:
    return np.power(10.0, x)


def psi(x: Any) -> Any:
    return polygamma(x, order=0)


def huber(delta: Any, r: Any) -> Any:
    size = np.abs(r)
    return np.where(size <= delta, r * r / 2, delta * (size - delta / 2))


def pseudo_huber(delta: Any, r: Any) -> Any:
    return delta * delta * (np.sqrt(1 + (r / delta) ** 2) - 1)


def cosm1(x: Any) -> Any:
    return -2 * np.sin(x / 2) ** 2


def gamma(x: Any) -> Any:
    """exp log |Γ|, with the sign that changes at the negative integers."""
    sign = np.where((x < 0) & (np.floor(x) % 2 != 0), -1, 1)
    return sign * np.exp(gammaln(x))


def beta(a: Any, b: Any) -> Any:
    return gamma(a) * gamma(b) / gamma(a + b)


def betaln(a: Any, b: Any) -> Any:
    return gammaln(a) + gammaln(b) - gammaln(a + b)


by_name.update(
    erf=erf, erfc=erfc, erfinv=erfinv, gammaln=gammaln, psi=psi, gamma=gamma, beta=beta, betaln=betaln,
    expit=expit, log_expit=log_expit, logit=logit, xlogy=xlogy, xlog1py=xlog1py, entr=entr,
    rel_entr=rel_entr, kl_div=kl_div, ndtr=ndtr, ndtri=ndtri, exp2=np.exp2, exp10=exp10, log1p=np.log1p,
    expm1=np.expm1, cbrt=np.cbrt, huber=huber, pseudo_huber=pseudo_huber, cosm1=cosm1,
)  # fmt: skip
