"""Hand-written backward passes through time; see ``blind.py``."""

from __future__ import annotations

import numpy as np
from blind_pass import Pass


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# ---- a simple network with a loss at every step
def elman(X, T, W, U, V, b):
    h = np.zeros((5, 4))
    L = 0.0
    for t in range(3):
        a = X[t] @ W + h @ U + b
        h = np.tanh(a)
        o = h @ V
        L = L + np.sum((o - T[t]) ** 2)
    return L


def elman_backward(bug, X, T, W, U, V, b):
    hs = [np.zeros((5, 4))]
    for t in range(3):
        hs.append(np.tanh(X[t] @ W + hs[-1] @ U + b))
    dW, dU, dV, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V), np.zeros_like(b)
    later = np.zeros((5, 4))
    for t in (2, 1, 0):
        h = hs[t + 1]
        do = 2 * (h @ V - T[t])
        if bug == "last step's error everywhere":
            do = 2 * (hs[3] @ V - T[2])
        if bug == "target of the step before":
            do = 2 * (h @ V - T[max(t - 1, 0)])
        dV += (hs[t] if bug == "output weights from the old state" else h).T @ do
        dh = do @ V.T + later
        if bug == "error of this step forgotten":
            dh = (do @ V.T if t == 2 else 0) + later
        da = dh * (1 - h**2)
        if bug == "slope at the old state":
            da = dh * (1 - hs[t] ** 2)
        if bug == "slope only for the error":
            da = do @ V.T * (1 - h**2) + later
        dW += X[t].T @ da
        dU += hs[t].T @ da
        db += da.sum(0)
        if bug == "bias at the last step only":
            db = da.sum(0) if t == 2 else db - da.sum(0)
        later = da @ U.T
        if bug == "later steps through the input weights' slope":
            later = dh @ U.T
        if bug == "truncated after one step":
            later = (do @ V.T * (1 - h**2)) @ U.T
        if bug == "added up twice":
            later = later + da @ U.T * 0.5
    return dW, dU, dV, db


# ---- long short-term memory, gates of their own weights
def lstm(X, h, c, Wi, Wf, Wo, Wg, bi, bf, R):
    for t in range(2):
        z = np.concatenate([X[t], h], axis=1)
        i = sigmoid(z @ Wi + bi)
        f = sigmoid(z @ Wf + bf)
        o = sigmoid(z @ Wo)
        g = np.tanh(z @ Wg)
        c = f * c + i * g
        k = np.tanh(c)
        h = o * k
    L = np.sum(R * h)
    return L


def lstm_backward(bug, X, h, c, Wi, Wf, Wo, Wg, bi, bf, R):
    tape = []
    for t in range(2):
        z = np.concatenate([X[t], h], axis=1)
        i, f, o, g = sigmoid(z @ Wi + bi), sigmoid(z @ Wf + bf), sigmoid(z @ Wo), np.tanh(z @ Wg)
        old, c = c, f * c + i * g
        h = o * np.tanh(c)
        tape.append((z, i, f, o, g, old, c, h))
    dWi, dWf, dWo, dWg = (np.zeros_like(w) for w in (Wi, Wf, Wo, Wg))
    dbi, dbf = np.zeros_like(bi), np.zeros_like(bf)
    dh, dc = R, np.zeros_like(R)
    for t in (1, 0):
        z, i, f, o, g, old, new, out = tape[t]
        k = np.tanh(new)
        do = dh * k
        if bug == "output gate from the hidden state":
            do = dh * out
        if bug == "output gate from the raw cell":
            do = dh * new
        dk = dh * o
        if bug == "output gate left out":
            dk = dh
        dc = dc + dk * (1 - k**2)
        if bug == "slope at the hidden state":
            dc = dc - dk * (1 - k**2) + dk * (1 - out**2)
        if bug == "cell's way from later steps":
            dc = dk * (1 - k**2)
        di, df, dg = dc * g, dc * old, dc * i
        if bug == "input gate and candidate exchanged":
            di, dg = dg, di
        if bug == "forget gate from the new cell":
            df = dc * new
        if bug == "forget gate from the candidate":
            df = dc * g
        ai, af, ao, ag = di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)
        if bug == "candidate as a sigmoid":
            ag = dg * g * (1 - g)
        if bug == "output gate without its slope":
            ao = do
        if bug == "forget gate with the input gate's slope":
            af = df * i * (1 - i)
        dWi, dWf, dWo, dWg = dWi + z.T @ ai, dWf + z.T @ af, dWo + z.T @ ao, dWg + z.T @ ag
        dbi, dbf = dbi + ai.sum(0), dbf + af.sum(0)
        dz = ai @ Wi.T + af @ Wf.T + ao @ Wo.T + ag @ Wg.T
        if bug == "output gate's way back":
            dz = ai @ Wi.T + af @ Wf.T + ag @ Wg.T
        if bug == "one set of weights for the way back":
            dz = (ai + af + ao + ag) @ Wi.T
        dh = dz[:, 3:]
        if bug == "wrong part of the concatenation":
            dh = dz[:, :4]
        dc = dc * f
        if bug == "cell carried without the gate":
            dc = dc / f
        if bug == "cell carried by the input gate":
            dc = dc / f * i
    return dh, dc, dWi, dWf, dWo, dWg, dbi, dbf


# ---- gated recurrent unit
def gru(X, h, Wz, Uz, Wr, Ur, Wn, Un, R):
    for t in range(2):
        z = sigmoid(X[t] @ Wz + h @ Uz)
        r = sigmoid(X[t] @ Wr + h @ Ur)
        m = r * h
        n = np.tanh(X[t] @ Wn + m @ Un)
        h = (1 - z) * n + z * h
    L = np.sum(R * h)
    return L


def gru_backward(bug, X, h, Wz, Uz, Wr, Ur, Wn, Un, R):
    tape = []
    for t in range(2):
        z, r = sigmoid(X[t] @ Wz + h @ Uz), sigmoid(X[t] @ Wr + h @ Ur)
        n = np.tanh(X[t] @ Wn + (r * h) @ Un)
        tape.append((h, z, r, n))
        h = (1 - z) * n + z * h
    grads = dict.fromkeys(("Wz", "Uz", "Wr", "Ur", "Wn", "Un"), 0.0)
    dh = R
    for t in (1, 0):
        old, z, r, n = tape[t]
        dz = dh * (old - n)
        if bug == "candidate and state exchanged in the gate":
            dz = dh * (n - old)
        if bug == "gate from the candidate only":
            dz = -dh * n
        dn = dh * (1 - z)
        if bug == "candidate through the gate itself":
            dn = dh * z
        an = dn * (1 - n**2)
        if bug == "candidate without its slope":
            an = dn
        dm = an @ Un.T
        dr = dm * old
        if bug == "reset gate from the candidate":
            dr = dm * n
        if bug == "reset gate without the state":
            dr = dm
        az, ar = dz * z * (1 - z), dr * r * (1 - r)
        if bug == "reset gate with the update gate's slope":
            ar = dr * z * (1 - z)
        x = X[t]
        grads["Wz"] += x.T @ az
        grads["Uz"] += old.T @ az
        grads["Wr"] += x.T @ ar
        grads["Ur"] += old.T @ ar
        grads["Wn"] += x.T @ an
        grads["Un"] += (old if bug == "reset not applied in the weights" else r * old).T @ an
        reset = 1 if bug == "reset not applied on the way back" else r
        dh = dh * z + dm * reset + az @ Uz.T + ar @ Ur.T
        if bug == "way back through the reset gate":
            dh = dh - ar @ Ur.T
        if bug == "way back through the candidate":
            dh = dh - dm * r
    return dh, *grads.values()


# ---- a leaky average whose rate is learned
def leaky_average(X, v, W, b, R):
    k = sigmoid(v)
    s = np.zeros((4, 3))
    for t in range(3):
        u = X[t] @ W + b
        s = k * s + (1 - k) * u
    Y = np.sin(s)
    L = np.sum(R * Y)
    return L


def leaky_average_backward(bug, X, v, W, b, R):
    k = sigmoid(v)
    states = [np.zeros((4, 3))]
    for t in range(3):
        states.append(k * states[-1] + (1 - k) * (X[t] @ W + b))
    ds = R * np.cos(states[-1])
    if bug == "sine's slope":
        ds = R * -np.cos(states[-1])
    if bug == "sine for cosine":
        ds = R * states[-1]
    dk, dW, db = np.zeros_like(k), np.zeros_like(W), np.zeros_like(b)
    for t in (2, 1, 0):
        u = X[t] @ W + b
        dk += (ds * (states[t] - u)).sum(0)
        if bug == "rate from the state only":
            dk += (ds * u).sum(0)
        if bug == "rate from the new state":
            dk += (ds * (states[t + 1] - states[t])).sum(0)
        du = ds * (1 - k)
        if bug == "rate for one minus rate":
            du = ds * k
        dW += X[t].T @ du
        db += du.sum(0)
        ds = ds * k
        if bug == "state carried whole":
            ds = ds / k
        if bug == "state carried by one minus rate":
            ds = ds / k * (1 - k)
    dv = dk * k * (1 - k)
    if bug == "rate's slope":
        dv = dk
    if bug == "rate's slope once more":
        dv = dv * k * (1 - k)
    return dv, dW, db


def _normal(r, *shapes):
    return tuple(r.normal(size=shape) for shape in shapes)


PASSES = (
    Pass(
        elman,
        lambda r: _normal(r, (3, 5, 3), (3, 5, 2), (3, 4), (4, 4), (4, 2), 4),
        ("W", "U", "V", "b"),
        elman_backward,
        {
            "last step's error everywhere": ("L", "o"),
            "target of the step before": ("L", "o"),
            "output weights from the old state": ("o",),
            "error of this step forgotten": ("o", "L", "h"),
            "slope at the old state": ("h",),
            "slope only for the error": ("h",),
            "bias at the last step only": ("a",),
            "later steps through the input weights' slope": ("h", "a"),
            "truncated after one step": ("a", "h"),
            "added up twice": ("a",),
        },
    ),
    Pass(
        lstm,
        lambda r: _normal(r, (2, 5, 3), (5, 4), (5, 4), (7, 4), (7, 4), (7, 4), (7, 4), 4, 4, (5, 4)),
        ("h", "c", "Wi", "Wf", "Wo", "Wg", "bi", "bf"),
        lstm_backward,
        {
            "output gate from the hidden state": ("h",),
            "output gate from the raw cell": ("h",),
            "output gate left out": ("h",),
            "slope at the hidden state": ("k",),
            "cell's way from later steps": ("c",),
            "input gate and candidate exchanged": ("c",),
            "forget gate from the new cell": ("c",),
            "forget gate from the candidate": ("c",),
            "candidate as a sigmoid": ("g",),
            "output gate without its slope": ("o",),
            "forget gate with the input gate's slope": ("f",),
            "output gate's way back": ("o", "z"),
            "one set of weights for the way back": ("i", "f", "o", "g"),
            "wrong part of the concatenation": ("z",),
            "cell carried without the gate": ("c",),
            "cell carried by the input gate": ("c",),
        },
    ),
    Pass(
        gru,
        lambda r: _normal(r, (2, 5, 3), (5, 4), (3, 4), (4, 4), (3, 4), (4, 4), (3, 4), (4, 4), (5, 4)),
        ("h", "Wz", "Uz", "Wr", "Ur", "Wn", "Un"),
        gru_backward,
        {
            "candidate and state exchanged in the gate": ("h", "z"),
            "gate from the candidate only": ("h",),
            "candidate through the gate itself": ("h",),
            "candidate without its slope": ("n",),
            "reset gate from the candidate": ("m",),
            "reset gate without the state": ("m",),
            "reset gate with the update gate's slope": ("r",),
            "reset not applied in the weights": ("n",),
            "reset not applied on the way back": ("m",),
            "way back through the reset gate": ("r",),
            "way back through the candidate": ("m",),
        },
    ),
    Pass(
        leaky_average,
        lambda r: _normal(r, (3, 4, 2), 3, (2, 3), 3, (4, 3)),
        ("v", "W", "b"),
        leaky_average_backward,
        {
            "sine's slope": ("Y",),
            "sine for cosine": ("Y",),
            "rate from the state only": ("s",),
            "rate from the new state": ("s",),
            "rate for one minus rate": ("s",),
            "state carried whole": ("s",),
            "state carried by one minus rate": ("s",),
            "rate's slope": ("k",),
            "rate's slope once more": ("k",),
        },
    ),
)
