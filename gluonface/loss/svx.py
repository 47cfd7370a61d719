"""SV-Softmax and SV-X-Softmax: negatives above the margined target weigh more."""

import math

from ._angle import angular_target
from ._margin import LOSSES, Margin, Parameter, declare, policy_parameter, scale_parameter

__all__ = ["SVXSoftmax", "kind_parameters", "raised_cosines"]

KINDS = ("softmax", "am", "arc")
MARGINS = {"softmax": 0.0, "am": 0.35, "arc": 0.5}


def raised_cosines(F, cosine, t):
    """Return (1 + t) c + t."""
    return F.broadcast_add(F.broadcast_mul(cosine, 1.0 + t), t)


def kind_parameters(t, scale):
    """Return the parameters that SV-X and MV share, but for their own."""
    return {
        "kind": Parameter(
            "arc",
            "the target's margin: none, CosFace's or ArcFace's",
            more="It is f of the formula.",
            choices=KINDS,
        ),
        "margin": Parameter(
            None,
            "the margin; none is 0.35 (cosine) for am, 0.5 (radians) for arc",
            low=0.0,
            high=math.pi,
            why="angles end at pi",
        ),
        "t": t,
        "scale": scale_parameter(scale),
        "policy": policy_parameter(", for arc"),
    }


@LOSSES.register("svx", aliases=("sv-softmax", "svx-softmax"))
class SVXSoftmax(Margin):
    r"""Support vector guided softmax: classes that beat the margined target weigh more.

    .. math:: z_y = s f(\theta_y), \quad
              z_j = s \cos\theta_j \text{ if } \cos\theta_j \le f(\theta_y),
              \text{ else } s (t \cos\theta_j + t - 1)

    Notes
    -----
    gluon-face computes the same values, but its m2 is the cosine margin and its m3 the angular
    one, the reverse of ArcFace's names.
    """

    title = "SV-X-Softmax"
    authors = "Wang et al."
    paper = "Support Vector Guided Softmax Loss for Face Recognition"
    year = 2018
    arxiv = "1812.11317"
    family = "hard-negative"
    formula_text = "z_j = s (t cos(theta_j) + t - 1) where cos(theta_j) > f(theta_y)"
    parameters = declare(
        **kind_parameters(
            Parameter(
                1.2,
                "weight of hard negatives",
                more="1 is the margin alone. At `strength` k it is 1 + k (t - 1).",
                low=1.0,
                why="below 1 they would weigh less",
            ),
            30.0,
        )
    )

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        margin = MARGINS[self.kind] if self.margin is None else self.margin
        if self.kind == "softmax":
            return cosine
        if self.kind == "am":
            return cosine - margin * strength
        return angular_target(F, cosine, 1.0, margin * strength, 0.0, self.policy)

    def others(self, F, cosine, strength, target_cosine, target):
        """Return the cosines, raised where they exceed the margined target."""
        raised = self.raised(F, cosine, strength)
        return F.where(F.broadcast_greater(cosine, target), raised, cosine)

    def raised(self, F, cosine, strength):
        """Return the raised cosines (N, C)."""
        return raised_cosines(F, cosine, (self.t - 1.0) * strength)
