"""Optimisers, learning rate schedules and gradient clipping: plain NumPy over parameters.

Knows trees of arrays and modules by their ``named_parameters()``; knows no graph, no layer and no
training loop. The same lines run on arrays and, under ``compile``, on what is being traced.
"""

from boxgrad.optim import schedules
from boxgrad.optim.adagrad import Adagrad
from boxgrad.optim.adam import Adam, AdamW
from boxgrad.optim.clip import clip_by_norm, clip_by_value
from boxgrad.optim.optimizer import Optimizer
from boxgrad.optim.rmsprop import RMSprop
from boxgrad.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "clip_by_norm",
    "clip_by_value",
    "schedules",
]
