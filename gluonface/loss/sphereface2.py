"""SphereFace2: a binary classification for each class, on a hypersphere."""

import math

from ..errors import InputError
from ._binary import BinaryMargin
from ._margin import LOSSES, Parameter, declare, scale_parameter

__all__ = ["SphereFace2"]

KINDS = ("C", "A", "M")
MARGINS = {"C": 0.4, "A": 0.4, "M": 1.6}
MIN_SINE = 1e-3  # below it 1 / sin is constant, see `_angle.safe_angle`


@LOSSES.register("sphereface2")
class SphereFace2(BinaryMargin):
    r"""Binary classification for each class, with a similarity that is spread over [-1, 1].

    .. math:: L = \frac{w}{r} \left( \alpha\, \mathrm{sp}(-z_y) +
              (1 - \alpha) \sum_{j \ne y} \mathrm{sp}(z_j) \right), \quad
              g(v) = 2 \left( \frac{v + 1}{2} \right)^t - 1

    with :math:`\mathrm{sp}(z) = \log(1 + e^z)`, and by `kind`

    .. math:: C:&\quad z_y = r (g(\cos\theta_y) - m) + b, \quad z_j = r (g(\cos\theta_j) + m) + b
              \\ A:&\quad z_y = r\, g(\cos\min(\theta_y + m, \pi)) + b, \quad
              z_j = r\, g(\cos\theta_j) + b
              \\ M:&\quad z_y = r\, g(\cos\min(m\theta_y, \pi)) + b, \quad
              z_j = r\, g(\cos\theta_j) + b

    r is `scale`. At the first value of the bias b, the gradients of positives and negatives are
    equally large if all cosines are 0. It is 3.5 for 86,000 classes. The published figures are of
    the gradient ``detached``.

    Notes
    -----
    The authors' repository (opensphere) has alpha 0.7, r 40, m 0.4, t 3 and w 50 for its class; w
    10 in its configuration for VGGFace2 with a small network; alpha 0.8, r 64, m 0.5 for MS1M with
    a ResNet-100. Its formula of the first bias fails for few classes, and it has no form for
    sampled or sharded classes.
    """

    title = "SphereFace2"
    authors = "Wen, Liu, Weller, Raj, Singh"
    paper = "SphereFace2: Binary Classification is All You Need for Deep Face Recognition"
    year = 2022
    venue = "ICLR 2022"
    arxiv = "2108.01513"
    formula_text = "w/r (alpha sp(-z_y) + (1 - alpha) sum sp(z_j)), z = r (g(cos(theta)) -+ m) + b"
    parameters = declare(
        kind=Parameter(
            "C", "the margin: additive cosine, additive angle, or a factor", choices=KINDS
        ),
        margin=Parameter(
            None,
            "the margin; none is 0.4 (cosine) for C, 0.4 (radians) for A, 1.6 for M",
            more="The last one is our value.",
            low=0.0,
            high=math.pi,
            why="angles end at pi",
        ),
        scale=scale_parameter(40.0, more="The paper's r."),
        alpha=Parameter(
            0.7,
            "share of the own class's term",
            more="Large, as there is one such term and C - 1 others.",
            above=0.0,
            high=0.999,
            why="both kinds of terms are needed",
        ),
        t=Parameter(
            3.0,
            "exponent of the similarity",
            more="1 leaves cosines as they are.",
            low=1.0,
            why="below 1 the slope at cosine -1 is infinite",
        ),
        weight=Parameter(50.0, "factor w of the loss", above=0.0, why="it is a weight"),
        gradient=Parameter(
            "detached",
            "detached: the slope of a logit by its cosine counts as r; exact: as it is",
            choices=("detached", "exact"),
        ),
    )
    min_classes = 2

    def prepare(self, num_classes):
        """Check that a factor as margin is one."""
        super().prepare(num_classes)
        if self.kind == "M" and self._margin < 1.0:
            raise InputError(
                f"sphereface2: margin={self._margin:g} is not allowed with kind='M', where it "
                "multiplies the target's angle; it must be at least 1"
            )

    @property
    def _margin(self):
        return MARGINS[self.kind] if self.margin is None else self.margin

    @property
    def positive_weight(self):
        """Its factor, w alpha / r."""
        return self.weight / self.scale * self.alpha

    @property
    def negative_weight(self):
        """Its factor, w (1 - alpha) / r."""
        return self.weight / self.scale * (1.0 - self.alpha)

    def initial_bias(self, num_classes, share=1.0):
        """Return the bias at which both kinds of terms have equal gradients if all cosines are 0.

        With few classes the terms change their roles, and so does the form that loses no digits.
        """
        import numpy as np

        others = max(num_classes - 1, 1) * share
        zero = np.zeros(1)
        ones = np.ones(1)
        positive = self.scale * float(self.own(np, zero, ones)[0][0])
        negative = self.scale * float(self.rest(np, zero, ones)[0][0])
        q = self.alpha / ((1.0 - self.alpha) * others)
        root = math.sqrt((1.0 - q) ** 2 + 4.0 * q * math.exp(positive - negative))
        if q <= 1.0:
            return math.log(2.0 * q) - math.log(1.0 - q + root) - negative
        return math.log(q - 1.0 + root) - math.log(2.0) - positive

    def own(self, F, cosine, strength):
        """Return g of the cosine with its margin; see `BinaryMargin.own`."""
        if self.kind == "C":
            value, slope = self._spread(F, cosine)
            return value - strength * self._margin, slope
        inside = F.clip(cosine, -1.0, 1.0)
        angle = F.arccos(inside)
        if self.kind == "A":
            factor, bent = 1.0, F.minimum(angle + strength * self._margin, math.pi)
        else:
            factor = 1.0 + strength * (self._margin - 1.0)
            bent = F.minimum(angle * factor, math.pi)
        value, slope = self._spread(F, F.cos(bent))
        if self.gradient == "exact":
            slope = 1.0 if slope is None else slope
            sine = F.maximum(F.sqrt((1.0 - inside) * (1.0 + inside)), MIN_SINE)
            slope = slope * factor * F.sin(bent) / sine
        return value, slope

    def rest(self, F, cosine, strength):
        """Return g of the cosines, for C with its margin; see `BinaryMargin.rest`."""
        value, slope = self._spread(F, cosine)
        if self.kind != "C":
            return value, slope
        return _add_rows(F, value, strength * self._margin), slope

    def _spread(self, F, cosine):
        """Return g and its slope, or None for a slope that counts as 1."""
        exact = self.gradient == "exact"
        if self.t == 1.0:
            return cosine, None
        half = F.maximum(cosine * 0.5 + 0.5, 0.0)
        lower = _power(half, self.t - 1.0)
        return lower * half * 2.0 - 1.0, lower * self.t if exact else None


def _power(values, exponent):
    """Return values to a power; whole exponents by products, several times as fast."""
    if exponent == int(exponent) and exponent <= 8:
        result = values
        for _ in range(int(exponent) - 1):
            result = result * values
        return result
    return values**exponent


def _add_rows(F, values, rows):
    """Return `values` (N, n) plus `rows`, a number or (N, 1) of the module F."""
    if isinstance(rows, float) or not hasattr(F, "broadcast_add"):
        return values + rows
    return F.broadcast_add(values, rows)
