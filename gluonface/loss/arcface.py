"""ArcFace: a margin added to the target's angle."""

from ._angle import angular_target
from ._margin import LOSSES, Margin, angle_parameter, declare, policy_parameter, scale_parameter

__all__ = ["ArcFace"]


@LOSSES.register("arcface")
class ArcFace(Margin):
    r"""Additive angular margin: the angle to the own class counts as larger by m.

    .. math:: z_y = s \cos(\theta_y + m), \quad z_j = s \cos\theta_j

    Beyond pi the cosine would rise again and reward the worst samples. `policy` is the rule
    there.

    Notes
    -----
    The slope is that of the formula, s sin(theta + m)/sin(theta). Some public implementations
    compute the margin outside the gradient and so train with the slope s.

    InsightFace's PyTorch code has no rule beyond pi. cavaface's applies no margin there, so its
    logit jumps up. gluon-face and cavaface's parallel class have the easy margin by default.
    gluon-face does not clip the cosine, so a cosine that is rounded beyond 1 gives NaN.
    """

    title = "ArcFace"
    authors = "Deng, Guo, Xue, Zafeiriou"
    paper = "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"
    year = 2018
    arxiv = "1801.07698"
    formula_text = "z_y = s cos(theta_y + m)"
    parameters = declare(
        margin=angle_parameter(), scale=scale_parameter(), policy=policy_parameter()
    )

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        return angular_target(F, cosine, 1.0, self.margin * strength, 0.0, self.policy)
