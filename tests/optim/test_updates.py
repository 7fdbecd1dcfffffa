"""Every optimiser against its published equation, written out anew as a loop over scalars."""

import math

import numpy as np
import pytest

from boxgrad.optim import SGD, Adagrad, Adam, AdamW, RMSprop

STEPS = 7


def sgd(w, grads, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    v = None
    for g in grads:
        g = g + weight_decay * w
        if momentum:
            v = g if v is None else momentum * v + (1 - dampening) * g
            g = g + momentum * v if nesterov else v
        w = w - lr * g
    return w


def adagrad(w, grads, lr, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    s = initial_accumulator_value
    for t, g in enumerate(grads):
        g = g + weight_decay * w
        s = s + g**2
        w = w - lr / (1 + t * lr_decay) * g / (math.sqrt(s) + eps)
    return w


def rmsprop(w, grads, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    v = a = b = 0.0
    for g in grads:
        g = g + weight_decay * w
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        d = math.sqrt(v - a**2 if centered else v) + eps
        b = momentum * b + g / d
        w = w - lr * b
    return w


def adam(w, grads, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, apart=False):
    m = v = largest = 0.0
    for t, g in enumerate(grads, start=1):
        if apart:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        largest = max(largest, v)
        m_hat = m / (1 - betas[0] ** t)
        v_hat = (largest if amsgrad else v) / (1 - betas[1] ** t)
        w = w - lr * m_hat / (math.sqrt(v_hat) + eps)
    return w


def adamw(w, grads, lr, weight_decay=1e-2, **settings):
    return adam(w, grads, lr, weight_decay=weight_decay, apart=True, **settings)


CASES = [
    (SGD, sgd, {}),
    (SGD, sgd, {"lr": 0.1, "weight_decay": 0.3}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.25, "weight_decay": 0.1}),
    (SGD, sgd, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    (Adagrad, adagrad, {}),
    (Adagrad, adagrad, {"lr": 0.2, "lr_decay": 0.5, "weight_decay": 0.1}),
    (Adagrad, adagrad, {"lr": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    (RMSprop, rmsprop, {}),
    (RMSprop, rmsprop, {"lr": 0.05, "alpha": 0.8, "momentum": 0.7, "weight_decay": 0.2}),
    (RMSprop, rmsprop, {"lr": 0.05, "alpha": 0.9, "centered": True}),
    (RMSprop, rmsprop, {"lr": 0.05, "centered": True, "momentum": 0.5, "eps": 1e-4}),
    (Adam, adam, {}),
    (Adam, adam, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.2}),
    (Adam, adam, {"lr": 0.1, "betas": (0.0, 0.6), "amsgrad": True}),
    (AdamW, adamw, {}),
    (AdamW, adamw, {"lr": 0.1, "weight_decay": 0.5, "betas": (0.8, 0.9), "amsgrad": True}),
]
DEFAULT_RATES = {SGD: 1e-3, Adagrad: 1e-2, RMSprop: 1e-2, Adam: 1e-3, AdamW: 1e-3}


@pytest.mark.parametrize(("optimizer_class", "reference", "settings"), CASES)
def test_follows_its_equation(optimizer_class, reference, settings):
    random = np.random.default_rng(0)
    w = random.normal(size=(2, 3))
    gradients = random.normal(size=(STEPS, 2, 3)) * 10 ** random.uniform(-2, 2, size=(STEPS, 1, 1))
    settings_with_rate = {"lr": DEFAULT_RATES[optimizer_class], **settings}
    expected = [
        reference(w[index], [g[index] for g in gradients], **settings_with_rate)
        for index in np.ndindex(w.shape)
    ]
    optimizer = optimizer_class(w, **settings)
    for gradient in gradients:
        optimizer.update(w, gradient)
    np.testing.assert_allclose(w.ravel(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("optimizer_class", "reference", "settings"), CASES)
def test_keeps_dtypes_and_identity(optimizer_class, reference, settings, dtype):
    model = {"w": np.ones((3, 2), dtype), "b": np.zeros((), dtype)}
    kept = dict(model)
    optimizer = optimizer_class(model, **settings)
    before = {id(array) for array in optimizer._state().values()}
    for _ in range(3):
        optimizer.update(model, {"w": np.full((3, 2), 0.5, dtype), "b": np.ones((), dtype)})
    assert all(model[name] is kept[name] for name in kept)
    assert all(array.dtype == dtype for array in model.values())
    assert {id(array) for array in optimizer._state().values()} == before
    slots = [array for name, array in optimizer._state().items() if "." in name]
    assert all(array.dtype == dtype for array in slots)
    assert np.all(model["w"] < 1)
    assert np.all(np.isfinite(model["w"]))


def test_numbers_derived_by_hand():
    # The first Adam step is lr · g / (|g| + eps) whatever the gradient's size.
    w = np.zeros(3)
    Adam(w, lr=0.5, eps=0.0).update(w, np.array([1e-20, -3.0, 1e20]))
    np.testing.assert_allclose(w, [-0.5, 0.5, -0.5], rtol=1e-14)
    # RMSprop's first is lr · sign(g) / sqrt(1 - alpha).
    w = np.zeros(2)
    RMSprop(w, lr=0.1, eps=0.0).update(w, np.array([5.0, -2.0]))
    np.testing.assert_allclose(w, [-1.0, 1.0], rtol=1e-13)
    # Momentum under a constant gradient approaches lr · g / (1 - momentum).
    w = np.zeros(1)
    optimizer = SGD(w, lr=1.0, momentum=0.5)
    for _ in range(3):
        optimizer.update(w, np.ones(1))
    assert w[0] == -(1 + 1.5 + 1.75)


def test_float32_bias_correction_is_computed_in_float64():
    w = np.zeros(1, np.float32)
    optimizer = Adam(w, lr=1.0, betas=(0.9, 0.9999999), eps=0.0)
    optimizer.update(w, np.ones(1, np.float32))
    np.testing.assert_allclose(w, [-1.0], rtol=1e-6)


def test_centred_rmsprop_survives_a_constant_gradient():
    w = np.zeros(4, np.float32)
    optimizer = RMSprop(w, alpha=0.5, centered=True, eps=1e-3)
    for _ in range(200):
        optimizer.update(w, np.float32([0.1, 0.3, 0.7, 1.1]))
    assert np.all(np.isfinite(w))


@pytest.mark.parametrize(
    ("optimizer_class", "settings"),
    [
        (SGD, {"lr": -0.1}),
        (SGD, {"lr": float("nan")}),
        (SGD, {"momentum": 1.0}),
        (SGD, {"weight_decay": -1.0}),
        (SGD, {"nesterov": True}),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        (Adagrad, {"lr_decay": -1.0}),
        (Adagrad, {"initial_accumulator_value": -1.0}),
        (RMSprop, {"alpha": 1.5}),
        (RMSprop, {"eps": -1e-8}),
        (Adam, {"betas": (0.9, 1.0)}),
        (Adam, {"betas": (-0.1, 0.9)}),
        (AdamW, {"weight_decay": -1e-2}),
    ],
)
def test_refuses_arguments_out_of_range(optimizer_class, settings):
    with pytest.raises(ValueError, match="instead:"):
        optimizer_class(np.ones(2), **settings)
