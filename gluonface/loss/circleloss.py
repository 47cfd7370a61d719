"""CircleLoss: every similarity is weighted by its distance from its optimum."""

from ._margin import LOSSES, Margin, Parameter, declare, scale_parameter

__all__ = ["CircleLoss"]


@LOSSES.register("circleloss", aliases=("circle",))
class CircleLoss(Margin):
    r"""Circle loss with class labels, as logits of a softmax.

    .. math:: z_y = \gamma\, [1 + m - c_y]_+ (c_y - (1 - m)), \quad
              z_j = \gamma\, [c_j + m]_+ (c_j - m)

    The factors in brackets carry no gradient. The cross entropy of these logits is the paper's
    loss exactly. At `strength` k logits are c + k (logit - c).
    """

    title = "CircleLoss"
    authors = "Sun et al."
    paper = "Circle Loss: A Unified Perspective of Pair Similarity Optimization"
    year = 2020
    arxiv = "2002.10857"
    formula_text = "z_y = gamma [1 + m - c_y]+ (c_y - 1 + m), z_j = gamma [c_j + m]+ (c_j - m)"
    parameters = declare(
        margin=Parameter(
            0.25, "margin m of the circle", low=0.0, high=1.0, why="optima are at -m and 1 + m"
        ),
        scale=scale_parameter(256.0, more="The paper's gamma."),
    )

    def target(self, F, cosine, strength):
        """Return the weighted similarity of the target."""
        weight = F.relu(1.0 + self.margin - F.BlockGrad(cosine))
        circle = weight * (cosine - (1.0 - self.margin))
        return circle * strength + cosine * (1.0 - strength)

    def others(self, F, cosine, strength, target_cosine, target):
        """Return the weighted similarities of the other classes."""
        circle = F.relu(F.BlockGrad(cosine) + self.margin) * (cosine - self.margin)
        return F.broadcast_add(
            F.broadcast_mul(circle, strength), F.broadcast_mul(cosine, 1.0 - strength)
        )
