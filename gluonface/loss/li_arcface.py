"""Li-ArcFace: logits that are linear in the angle."""

import math

from ._angle import safe_angle
from ._margin import LOSSES, Margin, angle_parameter, declare, scale_parameter

__all__ = ["LiArcFace"]


@LOSSES.register("li_arcface", aliases=("airface",))
class LiArcFace(Margin):
    r"""Additive angular margin on logits linear in the angle.

    .. math:: z_y = s (\pi - 2(\theta_y + m))/\pi, \quad z_j = s (\pi - 2\theta_j)/\pi

    It falls for all angles and needs no rule beyond pi. It takes the angle of every class, which
    costs more than the other margins. At `strength` 0 it is itself without the margin.

    Notes
    -----
    cavaface's class cannot be made as published (a missing import), and does not normalise the
    embedding.
    """

    title = "Li-ArcFace"
    authors = "Li, Wang, He"
    paper = "AirFace: Lightweight and Efficient Model for Face Recognition"
    year = 2019
    arxiv = "1907.12256"
    formula_text = "z_y = s (pi - 2 (theta_y + m)) / pi"
    parameters = declare(margin=angle_parameter(0.45), scale=scale_parameter())
    plain_at_0 = False

    def target(self, F, cosine, strength):
        """Return the margined logit of the target."""
        return 1.0 - (safe_angle(F, cosine) + self.margin * strength) * (2.0 / math.pi)

    def others(self, F, cosine, strength, target_cosine, target):
        """Return the logits by the angles."""
        return 1.0 - safe_angle(F, cosine) * (2.0 / math.pi)
