"""SV-Softmax and SV-X-Softmax: negatives above the margined target weigh more."""

import math

from ._angle import POLICIES, angular_target
from ._margin import LOSSES, Margin, Parameter, declare, scale_parameter

__all__ = ["SVXSoftmax", "support_target"]

KINDS = ("softmax", "am", "arc")
MARGINS = {"softmax": 0.0, "am": 0.35, "arc": 0.5}


def support_target(F, cosine, strength, kind, margin, policy):
    """Return the target's logit by `kind`: no margin, CosFace's or ArcFace's."""
    margin = MARGINS[kind] if margin is None else margin
    if kind == "softmax":
        return cosine
    if kind == "am":
        return cosine - margin * strength
    return angular_target(F, cosine, 1.0, margin * strength, 0.0, policy)


def kind_parameters(t, scale):
    """Return the parameters that SV-X and MV share, but for their own."""
    return {
        "kind": Parameter(
            "arc", "the target's margin: none, CosFace's or ArcFace's", choices=KINDS
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
        "policy": Parameter("hard", "what happens where theta + m > pi, for arc", choices=POLICIES),
    }


@LOSSES.register("svx", aliases=("sv-softmax", "svx-softmax"))
class SVXSoftmax(Margin):
    r"""Support vector guided softmax: classes that beat the margined target weigh more.

    .. math:: z_y = s f(\theta_y), \quad
              z_j = s \cos\theta_j \text{ if } \cos\theta_j \le f(\theta_y),
              \text{ else } s (t \cos\theta_j + t - 1)

    Parameters
    ----------
    kind : {"softmax", "am", "arc"}, default "arc"
        f: the cosine itself (SV-Softmax), CosFace's or ArcFace's (SV-X-Softmax).
    margin : float, optional
        m of `kind`: 0.35 in units of cosine for ``am``, 0.5 radians for ``arc`` if left out.
    t : float, default 1.2
        At least 1; 1 is the margin alone. At `strength` k it is 1 + k (t - 1).
    scale : float, default 30.0
        The factor s > 0.
    policy : {"hard", "easy", "none", "psi"}, default "hard"
        Where theta + m > pi, as for ArcFace.

    Notes
    -----
    gluon-face computes the same values, but its m2 is the cosine margin and its m3 the angular
    one, the reverse of ArcFace's names.

    References
    ----------
    Wang et al.: Support Vector Guided Softmax Loss for Face Recognition, 2018, arXiv 1812.11317.
    """

    name = "svx"
    title = "SV-X-Softmax"
    paper = "Support Vector Guided Softmax Loss for Face Recognition"
    year = 2018
    arxiv = "1812.11317"
    family = "hard-negative"
    formula_text = "z_j = s (t cos(theta_j) + t - 1) where cos(theta_j) > f(theta_y)"
    parameters = declare(
        **kind_parameters(
            Parameter(
                1.2, "weight of hard negatives", low=1.0, why="below 1 they would weigh less"
            ),
            30.0,
        )
    )

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        return support_target(F, cosine, strength, self.kind, self.margin, self.policy)

    def others(self, F, cosine, strength, target_cosine, target):
        """Return the cosines, raised where they exceed the margined target."""
        more = (self.t - 1.0) * strength
        raised = F.broadcast_add(F.broadcast_mul(cosine, 1.0 + more), more)
        return F.where(F.broadcast_greater(cosine, target), raised, cosine)
