"""A small problem that the tests of training share: three clouds of points in the plane."""

import numpy as np

from boxgrad import nn, optim
from boxgrad.train import Trainer


def clouds(examples=90, seed=0):
    random = np.random.default_rng(seed)
    classes = random.integers(0, 3, examples)
    centres = np.array([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    return (centres[classes] + random.normal(size=(examples, 2))).astype(np.float32), classes


def trainer(out=None, model=None, kind=optim.Adam, lr=0.05, **options):
    model = model or nn.Linear(2, 3, seed=0)
    options = {"verbosity": "silent", "batch_size": 32, **options}
    return Trainer(model, nn.cross_entropy, kind(model, lr=lr), out=out, **options)


def weights(model):
    return {name: array.tobytes() for name, array in model.state_dict().items()}


def without_seconds(rows):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
