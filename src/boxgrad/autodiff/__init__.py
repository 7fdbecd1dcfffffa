"""Derivatives of functions, to any order."""

from boxgrad.autodiff.derived import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]
