"""Optimizers of some rows of the class centres: SGD, NAG and AdamW; other rows are untouched.

The formulas are MXNet's own (the learning rate inside the momentum), so a head that samples all
classes trains like one whose centres a `gluon.Trainer` updates. They are written once for NumPy
arrays and NDArrays, with arithmetic in place and the square root.

A row that is not sampled keeps its value and momentum (``frozen``), as in the papers' code. With
``catchup`` it makes the steps it missed when it is sampled next: without a gradient a step of SGD
or NAG is linear, [w; v] <- M [w; v] with the same 2 x 2 matrix for all rows.
"""

import numpy as np

from ..errors import InputError

__all__ = ["MODES", "LazyUpdates", "check_mode", "row_optimizer"]

MODES = ("frozen", "catchup", "reset")


def row_optimizer(name, momentum=0.0, wd=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Return an optimizer of rows by its name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name == "sgd":
        return Sgd(momentum, wd)
    if name == "nag":
        return Nag(momentum, wd)
    if name == "adamw":
        return AdamW(wd, beta1, beta2, epsilon)
    raise InputError(
        f"optimizer {name!r} cannot update sampled class centres; use sgd, nag or adamw"
    )


class Sgd:
    """v <- mu v - lr (g + wd w); w <- w + v."""

    counts_updates, compiled = False, True  # compiled: `storage.class_rows` has it, too

    def __init__(self, momentum, wd):
        self.momentum, self.wd = float(momentum), float(wd)
        self.slots = ("momentum",) if momentum else ()

    def apply(self, w, g, slots, lr, scale=1.0, radial=None, decay=True, rate=None, sqrt=np.sqrt):
        """Update rows in place.

        Parameters
        ----------
        w, g : arrays (m, width) or (m,)
            Rows and gradient. The gradient proper is scale (g + radial w); `g` is overwritten.
        slots : list of arrays like `w`
        lr, scale : float
        radial : array (m, 1), optional
            Multiple of the rows that makes the gradient orthogonal to them.
        decay : bool, default True
            Whether there is weight decay.
        rate : array (m, 1), optional
            From `AdamW.rate`.
        sqrt : callable
            The arrays' square root.
        """
        g *= -lr * scale
        factor = None if radial is None else radial * (-lr * scale)
        if decay and self.wd:
            factor = (0.0 if factor is None else factor) - lr * self.wd
        if factor is not None:
            g += w * factor
        if slots:
            (v,) = slots
            v *= self.momentum
            v += g
            g = v
        w += g

    def step_matrix(self, lr, decay=True):
        """Return M (2, 2) of a step without gradient."""
        wd = self.wd if decay else 0.0
        return np.array([[1.0 - lr * wd, self.momentum], [-lr * wd, self.momentum]])


class Nag(Sgd):
    """d = lr (g + wd w); w <- w + mu (mu v - d) - d; v <- mu v - lr (g + wd w).

    The second w is the new one, as in MXNet, which writes the weight first.
    """

    compiled = False

    def apply(self, w, g, slots, lr, scale=1.0, radial=None, decay=True, rate=None, sqrt=np.sqrt):
        """As `Sgd.apply`."""
        if not slots:
            super().apply(w, g, slots, lr, scale, radial, decay)
            return
        (v,) = slots
        wd = self.wd if decay else 0.0
        g *= -lr * scale
        if radial is not None:
            g += w * (radial * (-lr * scale))
        v *= self.momentum
        step = v * self.momentum
        v += g
        step += g * (self.momentum + 1.0)
        if wd:
            step -= w * ((self.momentum + 1.0) * lr * wd)
        w += step
        if wd:
            v -= w * (lr * wd)

    def step_matrix(self, lr, decay=True):
        """Return M (2, 2) of a step without gradient."""
        if not self.slots:
            return super().step_matrix(lr, decay)
        mu, decay = self.momentum, lr * self.wd if decay else 0.0
        a, b = 1.0 - (mu + 1.0) * decay, mu * mu
        return np.array([[a, b], [-decay * a, mu - decay * b]])


class AdamW:
    """Adam with decoupled decay; every row corrects its bias by its own number of updates."""

    counts_updates, compiled = True, False
    slots = ("mean", "variance")

    def __init__(self, wd, beta1, beta2, epsilon):
        self.wd, self.beta1, self.beta2 = float(wd), float(beta1), float(beta2)
        self.epsilon = float(epsilon)

    def rate(self, count, lr):
        """Return the corrected learning rate (m, 1) of rows that saw `count` (m,) updates.

        Epsilon is added to the uncorrected root, as in MXNet's operator.
        """
        count = np.asarray(count, np.float64)[:, None]
        rate = lr * np.sqrt(1.0 - self.beta2**count) / (1.0 - self.beta1**count)
        return rate.astype(np.float32)

    def apply(self, w, g, slots, lr, scale=1.0, radial=None, decay=True, rate=None, sqrt=np.sqrt):
        """As `Sgd.apply`."""
        m, v = slots
        g *= scale
        if radial is not None:
            g += w * (radial * scale)
        m *= self.beta1
        m += g * (1.0 - self.beta1)
        g *= g
        v *= self.beta2
        v += g * (1.0 - self.beta2)
        change = m * rate
        change /= sqrt(v) + self.epsilon
        if decay and self.wd:
            change += w * (lr * self.wd)
        w -= change


class LazyUpdates:
    """The updates that rows missed, as one matrix product for each step of a row's last update.

    One product for each step since `origin` is kept and multiplied at every step: quotients of
    products of the whole history would lose all their digits. All rows are brought up to date
    every `LENGTH` steps, so the table stays small.
    """

    LENGTH = 4096

    def __init__(self, origin=0):
        self.restart(origin)

    def restart(self, step):
        """Clear the table: every row is up to date at `step`."""
        self.origin, self._products = step, np.eye(2)[None]

    @property
    def full(self):
        """Whether all rows should be brought up to date and `restart` be called."""
        return len(self._products) > self.LENGTH

    def advance(self, matrix):
        """Add a step, given by its matrix (2, 2)."""
        self._products = np.concatenate([matrix @ self._products, np.eye(2)[None]])

    def matrices(self, last):
        """Return the matrices (m, 2, 2) float32 of what rows have missed since steps `last`."""
        return self._products[np.asarray(last) - self.origin].astype(np.float32)

    def apply(self, last, w, slots, wrap=np.asarray):
        """Bring rows `w` (m, width) or (m,) and their momentum, at the steps `last`, up to date."""
        table = self.matrices(last)
        if len(w.shape) > 1:
            table = table[..., None]  # one number for each row
        (a, b), (c, d) = [[wrap(table[:, i, j]) for j in range(2)] for i in range(2)]
        if not slots:
            w *= a
            return
        (v,) = slots
        old = w * c
        w *= a
        w += v * b
        v *= d
        v += old


def check_mode(mode, optimizer):
    """Raise `InputError` if a momentum mode is unknown or does not suit the optimizer."""
    if mode not in MODES:
        raise InputError(f"momentum_mode={mode!r} is not known; expected {', '.join(MODES)}")
    if optimizer is not None and optimizer.counts_updates and mode != "frozen":
        raise InputError(
            f"momentum_mode={mode!r} is for sgd and nag; adamw keeps its moments frozen while a "
            "class is not sampled: use momentum_mode='frozen'"
        )
