"""QAMFace: logits that are quadratic in the angle."""

import math

from ._angle import safe_angle
from ._margin import LOSSES, Margin, angle_parameter, declare, scale_parameter

__all__ = ["QAMFace"]


@LOSSES.register("qamface")
class QAMFace(Margin):
    r"""Quadratic additive angular margin: logits are squares of the angle from 2 pi.

    .. math:: z_y = s (2\pi - (\theta_y + m))^2, \quad z_j = s (2\pi - \theta_j)^2

    It falls for all angles up to 2 pi and needs no rule beyond pi. It takes the angle of every
    class, which costs more than the other margins. At `strength` 0 it is itself without the
    margin.

    Notes
    -----
    cavaface's class cannot be made as published (a missing import), does not normalise the
    embedding, and cites the AirFace paper by mistake.
    """

    title = "QAMFace"
    authors = "Zhao et al."
    paper = "QAMFace: Quadratic Additive Angular Margin Loss for Face Recognition"
    year = 2020
    venue = "ICIP 2020"
    formula_text = "z_y = s (2 pi - (theta_y + m))^2"
    parameters = declare(margin=angle_parameter(), scale=scale_parameter(6.0))
    plain_at_0 = False

    def target(self, F, cosine, strength):
        """Return the margined logit of the target."""
        return F.square(2.0 * math.pi - (safe_angle(F, cosine) + self.margin * strength))

    def others(self, F, cosine, strength, target_cosine, target):
        """Return the logits by the angles."""
        return F.square(2.0 * math.pi - safe_angle(F, cosine))
