"""AdaM-Softmax (AdaptiveFace): a cosine margin learned for each class."""

from ._margin import LOSSES, Margin, Parameter, declare, scale_parameter

__all__ = ["AdaMSoftmax"]


@LOSSES.register("adam_softmax", aliases=("adaptiveface",))
class AdaMSoftmax(Margin):
    r"""Adaptive margin softmax: each class learns its own cosine margin.

    .. math:: z_y = s (\cos\theta_y - m_y), \quad
              L = CE - \frac{\lambda}{C} \sum_j m_j

    The margins m are parameters of the head, one for each class. After each update they are
    clipped to [0, ``max_margin``]. Classes of few samples can end up with larger margins.
    """

    title = "AdaM-Softmax"
    authors = "Liu, Zhu, Lei, Li"
    paper = "AdaptiveFace: Adaptive Margin and Sampling for Face Recognition"
    year = 2019
    venue = "CVPR 2019"
    formula_text = "z_y = s (cos(theta_y) - m_y), m learned"
    parameters = declare(
        weight=Parameter(
            50.0, "pull lambda towards larger margins", low=0.0, why="else they shrink to 0"
        ),
        scale=scale_parameter(30.0),
        initial_margin=Parameter(
            0.4,
            "margins before training",
            more="Our value.",
            low=0.0,
            high=1.0,
            why="it is a cosine's difference",
        ),
        max_margin=Parameter(
            1.0,
            "largest margin",
            more="Our value.",
            above=0.0,
            high=2.0,
            why="cosines are at most 2 apart",
        ),
    )
    target_inputs = ("class_margin",)

    def target(self, F, cosine, strength, class_margin):
        """Return the margined cosine of the target."""
        return cosine - class_margin * strength

    def class_penalty(self, F, mean_margin, strength):
        """Return -lambda times the mean margin."""
        return -self.weight * mean_margin * strength
