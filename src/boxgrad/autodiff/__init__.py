"""Derivatives of functions, to any order. The rules are NumPy, so they need the table of composites."""

from boxgrad import composites
from boxgrad.autodiff.derived import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = ["composites", "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]
