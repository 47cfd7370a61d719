"""ArcNegFace: negatives near the margined target weigh more, far ones less."""

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

__all__ = ["ArcNegFace"]


@LOSSES.register("arcnegface")
class ArcNegFace(Margin):
    r"""ArcFace with negatives weighted by their distance from the target.

    .. math:: z_y = s a, \; a = \cos(\theta_y + m), \quad
              z_j = s (t_j \cos\theta_j + t_j - 1), \;
              t_j = \alpha e^{-(\cos\theta_j - a)^2/\sigma}

    The weight t_j carries no gradient.

    Parameters
    ----------
    margin : float, default 0.5
        The margin m in radians, in [0, pi].
    alpha : float, default 1.2
        The largest weight, above 0.
    sigma : float, default 2.0
        Width of the bell, above 0; a Gaussian's twice the variance.
    scale : float, default 64.0
        The factor s > 0.
    policy : {"hard", "easy", "none", "psi"}, default "hard"
        Where theta + m > pi, as for ArcFace.

    Notes
    -----
    cavaface computes the same values, but is NaN where rounding takes a cosine beyond 1, and its
    easy margin fails.

    References
    ----------
    Liu et al.: Towards Flops-constrained Face Recognition, 2019, arXiv 1909.00632.
    """

    name = "arcnegface"
    title = "ArcNegFace"
    paper = "Towards Flops-constrained Face Recognition"
    year = 2019
    arxiv = "1909.00632"
    family = "hard-negative"
    formula_text = "z_j = s (t cos(theta_j) + t - 1), t = alpha exp(-(cos(theta_j) - a)^2/sigma)"
    parameters = declare(
        margin=angle_parameter(),
        alpha=Parameter(1.2, "largest weight of a negative", above=0.0, why="it is a weight"),
        sigma=Parameter(2.0, "width of the bell", above=0.0, why="it divides"),
        scale=scale_parameter(),
        policy=policy_parameter(),
    )

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        return angular_target(F, cosine, 1.0, self.margin * strength, 0.0, self.policy)

    def others(self, F, cosine, strength, target_cosine, target):
        """Return the weighted cosines."""
        gap = F.broadcast_sub(F.BlockGrad(cosine), target)
        weight = self.alpha * F.exp(F.square(gap) * (-1.0 / self.sigma))
        # t c + t - 1, and c at strength 0.
        return cosine + F.broadcast_mul((weight - 1.0) * (cosine + 1.0), strength)
