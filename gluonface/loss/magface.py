"""MagFace: the margin grows with the norm, and the norm with the image's quality."""

import math

from ..errors import InputError
from ._angle import angular_target
from ._margin import LOSSES, Margin, Parameter, declare, policy_parameter, scale_parameter

__all__ = ["MagFace"]

ANGLE: dict = {"unit": "radians", "low": 0.0, "high": math.pi, "why": "angles end at pi"}


@LOSSES.register("magface")
class MagFace(Margin):
    r"""Magnitude aware angular margin: longer embeddings have a larger margin.

    .. math:: z_y = s \cos(\theta_y + m(a)), \quad a = [\|x\|]_{l_a}^{u_a}, \quad
              m(a) = l_m + \frac{u_m - l_m}{u_a - l_a} (a - l_a), \quad
              L = CE + \lambda_g \left( \frac{a}{u_a^2} + \frac{1}{a} \right)

    The last term falls up to u_a. It makes the embeddings of easy samples long, whose larger margin
    costs little, so that the norm becomes a measure of quality. The gradient flows through the
    norm in margin and penalty, within [l_a, u_a] only. The penalty is each sample's own; the mean
    over the batch is the paper's. `strength` multiplies both.

    Notes
    -----
    The authors' own code (run/run.sh and models/magface.py of github.com/IrvingMeng/MagFace) has
    the same defaults except for the policy: it applies the margin only if the cosine is positive,
    ``policy="easy"``. Their g(a) = 1/a + a/u_a^2 has its minimum at a = u_a. There and here, the
    length is clamped to [l_a, u_a] before it is used.
    """

    title = "MagFace"
    authors = "Meng, Zhao, Huang, Zhou"
    paper = "MagFace: A Universal Representation for Face Recognition and Quality Assessment"
    year = 2021
    arxiv = "2103.06627"
    formula_text = "z_y = s cos(theta_y + m(|x|)), L = CE + lambda_g (|x|/u_a^2 + 1/|x|)"
    parameters = declare(
        l_a=Parameter(
            10.0,
            "shortest norm that counts",
            more="Below u_a.",
            above=0.0,
            why="1/l_a is in the loss",
        ),
        u_a=Parameter(110.0, "longest norm that counts", above=0.0, why="it must exceed l_a"),
        l_m=Parameter(0.45, "margin at l_a", more="At most u_m.", **ANGLE),
        u_m=Parameter(0.8, "margin at u_a", **ANGLE),
        lambda_g=Parameter(
            35.0,
            "weight of the penalty",
            more="The authors' value at ``scale=64``.",
            low=0.0,
            why="else norms shrink",
        ),
        scale=scale_parameter(),
        policy=policy_parameter(),
    )
    target_inputs = ("norm",)
    norm_gradient = True

    def prepare(self, num_classes):
        """Check that the ranges are in order."""
        super().prepare(num_classes)
        self._check_ranges()

    def __init__(self, **params):
        super().__init__(**params)
        self._check_ranges()

    def _check_ranges(self):
        for low, high in (("l_a", "u_a"), ("l_m", "u_m")):
            a, b = getattr(self, low), getattr(self, high)
            if a > b or (a == b and low == "l_a"):
                raise InputError(
                    f"magface: {low}={a:g} and {high}={b:g} are not allowed; the margin grows "
                    f"with the norm, so {low} must be below {high}"
                )

    def target(self, F, cosine, strength, norm):
        """Return the margined cosine of the target; see `Margin.target`."""
        slope = (self.u_m - self.l_m) / (self.u_a - self.l_a)
        margin = (F.clip(norm, self.l_a, self.u_a) - self.l_a) * slope + self.l_m
        return angular_target(F, cosine, 1.0, margin * strength, 0.0, self.policy)

    def norm_penalty(self, F, norm, strength):
        """Return lambda_g (a / u_a^2 + 1 / a)."""
        a = F.clip(norm, self.l_a, self.u_a)
        return self.lambda_g * strength * (a / self.u_a**2 + 1.0 / a)
