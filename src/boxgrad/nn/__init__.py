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
from boxgrad.nn.attention import MultiheadAttention
from boxgrad.nn.containers import ModuleList, Sequential
from boxgrad.nn.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose2d
from boxgrad.nn.embedding import Embedding
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
from boxgrad.nn.normalisation import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from boxgrad.nn.pooling import AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, Flatten, MaxPool1d, MaxPool2d
from boxgrad.nn.recurrent import GRU, LSTM, RNN
from boxgrad.nn.recurrent_cells import GRUCell, LSTMCell, RNNCell
from boxgrad.nn.regularisation import Dropout

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "MultiheadAttention",
    "RNNCell",
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
