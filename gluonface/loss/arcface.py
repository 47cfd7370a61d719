"""ArcFace: a margin added to the target's angle."""

from ._angle import angular_target
from ._margin import LOSSES, Margin, angle_parameter, declare, policy_parameter, scale_parameter

__all__ = ["ArcFace"]


@LOSSES.register("arcface")
class ArcFace(Margin):
    r"""Additive angular margin: the angle to the own class counts as larger by m.

    .. math:: z_y = s \cos(\theta_y + m), \quad z_j = s \cos\theta_j

    Where the angle passes pi the cosine would rise again and reward the worst samples; `policy`
    says what happens there.

    Parameters
    ----------
    margin : float, default 0.5
        The margin m in radians, in [0, pi].
    scale : float, default 64.0
        The factor s > 0.
    policy : {"hard", "easy", "none", "psi"}, default "hard"
        Where theta + m > pi. ``hard``, the paper's code: c - m sin(m), which falls on but steps
        down at the seam. ``easy``: the margin applies only where c > 0. ``none``: the bare
        cosine. ``psi``: 2 pi-periodic continuation that falls everywhere and has no step.

    Notes
    -----
    The slope is that of the formula, s sin(theta + m)/sin(theta). Some public implementations
    compute the margin outside the gradient and so train with the slope s.

    Beyond pi InsightFace's PyTorch code has no rule, and cavaface's takes off no margin, so that
    its logit jumps up. gluon-face and cavaface's parallel class have the easy margin by default,
    and gluon-face does not clip, so that a cosine rounded beyond 1 gives NaN.

    References
    ----------
    Deng, Guo, Xue, Zafeiriou: ArcFace: Additive Angular Margin Loss for Deep Face Recognition,
    2018, arXiv 1801.07698.
    """

    name = "arcface"
    title = "ArcFace"
    paper = "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"
    year = 2018
    arxiv = "1801.07698"
    formula_text = "z_y = s cos(theta_y + m)"
    parameters = declare(
        margin=angle_parameter(),
        scale=scale_parameter(),
        policy=policy_parameter(),
    )

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        return angular_target(F, cosine, 1.0, self.margin * strength, 0.0, self.policy)
