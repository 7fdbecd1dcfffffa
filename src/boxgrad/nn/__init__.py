"""Layers, losses and initialisers: plain NumPy over parameters, with PyTorch's names.

Everything here runs as ordinary NumPy with boxgrad asleep. Names, weight layouts, gate order and
defaults are PyTorch's, so states go both ways.
"""

from boxgrad.nn import init
from boxgrad.nn.activation_layers import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from boxgrad.nn.activations import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from boxgrad.nn.containers import ModuleList, Sequential
from boxgrad.nn.linear import Linear
from boxgrad.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber,
    kl_div,
    l1,
    mse,
    nll,
)
from boxgrad.nn.module import Module

__all__ = [
    "ELU",
    "GELU",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Module",
    "ModuleList",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "elu",
    "gelu",
    "huber",
    "init",
    "kl_div",
    "l1",
    "leaky_relu",
    "log_softmax",
    "mse",
    "nll",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
