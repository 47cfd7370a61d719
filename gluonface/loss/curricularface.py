"""CurricularFace: hard negatives weigh more as training succeeds."""

from ._angle import angular_target
from ._margin import (
    LOSSES,
    Margin,
    Parameter,
    angle_parameter,
    declare,
    policy_parameter,
    scale_parameter,
)

__all__ = ["CurricularFace"]


@LOSSES.register("curricularface")
class CurricularFace(Margin):
    r"""Adaptive curriculum learning loss: hard negatives weigh more as training goes on.

    .. math:: z_y = s \cos(\theta_y + m), \quad
              z_j = s \cos\theta_j \text{ if } \cos\theta_j \le \cos(\theta_y + m),
              \text{ else } s \cos\theta_j (t + \cos\theta_j)

    t is a running mean of the target's cosine over the global batch, so that hard negatives are
    played down first and stressed later: t becomes ``share`` r + (1 - ``share``) t before each
    use, r the batch's mean. It starts at 0, carries no gradient, and checkpoints keep it.

    Parameters
    ----------
    margin : float, default 0.5
        The margin m in radians, in [0, pi].
    scale : float, default 64.0
        The factor s > 0.
    share : float, default 0.01
        Of the batch in the running mean, in (0, 1]. The paper's text says 0.99; its author says
        that the code, which has 0.01, is right.
    policy : {"hard", "easy", "none", "psi"}, default "hard"
        Where theta + m > pi, as for ArcFace.

    Notes
    -----
    In cavaface t is each process's own, and with mixed precision a float16 number in which a
    change below about 0.02 is lost.

    References
    ----------
    Huang et al.: CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition,
    2020, arXiv 2004.00288.
    """

    name = "curricularface"
    title = "CurricularFace"
    paper = "CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition"
    year = 2020
    arxiv = "2004.00288"
    family = "hard-negative"
    formula_text = "z_j = s cos(theta_j) (t + cos(theta_j)) where cos(theta_j) > cos(theta_y + m)"
    parameters = declare(
        margin=angle_parameter(),
        scale=scale_parameter(),
        share=Parameter(
            0.01, "of the batch in the running mean t", above=0.0, high=1.0, why="it is a share"
        ),
        policy=policy_parameter(),
    )
    initial_state = declare(t=0.0)
    others_inputs = ("t",)
    statistics = ("cosine",)

    def update(self, F, cosine):
        """Move t towards the batch's mean target cosine."""
        mean = F.mean(F.clip(cosine, -1.0, 1.0))
        self.state["t"] = self.share * mean + (1.0 - self.share) * self.state["t"]

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        return angular_target(F, cosine, 1.0, self.margin * strength, 0.0, self.policy)

    def others(self, F, cosine, strength, target_cosine, target, t):
        """Return c, or c (t + c) where c exceeds the margined target."""
        factor = F.broadcast_add(cosine, t - 1.0)  # t + c, less the 1 of no margin
        bent = cosine + F.broadcast_mul(cosine * factor, strength)
        return F.where(F.broadcast_greater(cosine, target), bent, cosine)
