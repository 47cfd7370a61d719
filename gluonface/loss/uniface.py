"""UniFace: unified cross entropy, binary losses with one learned threshold."""

import math

from ._binary import BinaryMargin
from ._margin import LOSSES, Parameter, cosine_parameter, declare, scale_parameter

__all__ = ["UniFace"]


@LOSSES.register("uniface", aliases=("uce",))
class UniFace(BinaryMargin):
    r"""Unified cross entropy: every class's logit is compared with one learned threshold.

    .. math:: L = \mathrm{sp}(-z_y) + l \sum_{j \ne y} \mathrm{sp}(z_j), \quad
              z_y = s (\cos\theta_y - m) - b, \quad z_j = s \cos\theta_j - b

    with :math:`\mathrm{sp}(z) = \log(1 + e^z)`. The bias b begins at log(10 C). b/s is the
    threshold of the training set, which may be logged; its authors advise against using it as a
    threshold of a test.

    Notes
    -----
    The authors' code clamps both logits to ±s before the exponential. A positive whose cosine is
    below m + (b - s)/s then has no gradient, so the hardest positives are ignored. Here nothing is
    clamped. Its sampler drops classes of the batch when there are more of them than the rate
    allows, and it does not scale the sampled terms: see ``negative_weight`` of
    `gluonface.head.PartialFC`.
    """

    title = "UniFace (UCE)"
    authors = "Zhou, Jia, Li, Shen, Duan"
    paper = "UniFace: Unified Cross-Entropy Loss for Deep Face Recognition"
    year = 2023
    venue = "ICCV 2023, pp. 20730-20739"
    formula_text = "sp(b - s (cos(theta_y) - m)) + l sum sp(s cos(theta_j) - b)"
    parameters = declare(
        margin=cosine_parameter(0.4),
        scale=scale_parameter(),
        weight=Parameter(
            1.0,
            "weight l of the other classes' terms",
            above=0.0,
            why="without them every cosine would grow",
        ),
    )
    bias_sign = -1

    @property
    def negative_weight(self):
        """The factor l of the other classes' terms."""
        return self.weight

    def initial_bias(self, num_classes, share=1.0):
        """Return log(10 C), or that of the sampled classes."""
        return math.log(10.0 * max(1.0, num_classes * share))

    def own(self, F, cosine, strength):
        """Return c - m; its slope is 1."""
        return cosine - strength * self.margin, None
