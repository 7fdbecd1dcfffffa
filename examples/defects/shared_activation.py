"""Dense layers that share one activation object.

Python evaluates a default argument once, when ``def`` runs. Every layer that does not bring its own
activation gets the same object, which remembers the output of whoever used it last. On the way back all
of them multiply by the slope at the last layer's output. With layers of different widths it is a shape
error; with equal ones nobody notices.
"""

import numpy as np


class Sigmoid:
    def forward(self, x):
        self.output = 1 / (1 + np.exp(-x))
        return self.output

    def backward(self, gradient):
        return gradient * self.output * (1 - self.output)


class Dense:
    def __init__(self, weights, bias, activation):
        self.weights, self.bias, self.activation = weights, bias, activation

    def forward(self, x):
        self.input = x
        return self.activation.forward(x @ self.weights + self.bias)

    def backward(self, gradient):
        gradient = self.activation.backward(gradient)
        self.weights_gradient = self.input.T @ gradient
        self.bias_gradient = np.sum(gradient, axis=0)
        return gradient @ self.weights.T


def with_default(weights, bias, activation=Sigmoid()):  # noqa: B008 (this is the mistake)
    return Dense(weights, bias, activation)


def with_its_own(weights, bias):
    return Dense(weights, bias, Sigmoid())


def loss(X, Y, W1, b1, W2, b2):
    N1 = X @ W1 + b1
    O1 = 1 / (1 + np.exp(-N1))
    N2 = O1 @ W2 + b2
    O2 = 1 / (1 + np.exp(-N2))
    E = O2 - Y
    L = np.sum(E**2)
    return L


def gradients(first, second, X, Y):
    O2 = second.forward(first.forward(X))
    first.backward(second.backward(2 * (O2 - Y)))
    return first.weights_gradient, first.bias_gradient, second.weights_gradient, second.bias_gradient


def wrong(X, Y, W1, b1, W2, b2):
    return gradients(with_default(W1, b1), with_default(W2, b2), X, Y)


def right(X, Y, W1, b1, W2, b2):
    return gradients(with_its_own(W1, b1), with_its_own(W2, b2), X, Y)


def arguments(random):
    return tuple(random.normal(size=size) for size in ((6, 3), (6, 4), (3, 4), 4, (4, 4), 4))


WRT = ("W1", "b1", "W2", "b2")
EXPECTED = (("wrong value", "O1"),)
