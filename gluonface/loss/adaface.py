"""AdaFace: the margin depends on the image's quality, measured by the embedding's norm."""

import math

from ._angle import safe_angle
from ._margin import LOSSES, Margin, Parameter, declare, scale_parameter

__all__ = ["AdaFace"]

NEAR = 1e-3  # radians kept from 0 and pi, and what is added to the deviation
SHORTEST, LONGEST = 1e-3, 100.0


@LOSSES.register("adaface")
class AdaFace(Margin):
    r"""Quality adaptive margin: the embedding's length decides which kind of margin a sample gets.

    .. math:: z_y = s (\cos(\theta_y - m q) - (m + m q)), \quad
              q = \left[ h \frac{\|x\| - \mu}{\sigma + 0.001} \right]_{-1}^{1}

    Long embeddings, of good images, get a cosine margin that gives hard samples larger gradients;
    short ones an angular margin that gives them smaller ones. The norm carries no gradient and is
    cut to [0.001, 100]. mu and sigma are running statistics over the global batch, updated before
    use, and checkpoints keep them.
    """

    title = "AdaFace"
    authors = "Kim, Jain, Liu"
    paper = "AdaFace: Quality Adaptive Margin for Face Recognition"
    year = 2022
    arxiv = "2204.00964"
    family = "statistics"
    formula_text = "z_y = s (cos(theta_y - m q) - (m + m q)), q by the norm"
    parameters = declare(
        margin=Parameter(
            0.4, "the margin m", low=0.0, high=math.pi / 2, why="it counts up to twice"
        ),
        h=Parameter(0.333, "how much of the norms' spread counts", above=0.0, why="0 is CosFace"),
        share=Parameter(
            0.01,
            "of the batch in the running statistics",
            more="The paper's text says 0.99 of the batch; its code has 0.01.",
            above=0.0,
            high=1.0,
            why="it is a share",
        ),
        scale=scale_parameter(),
    )
    initial_state = declare(mean=20.0, std=100.0)
    target_inputs = ("norm", "mean", "std")
    statistics = ("norm",)

    def update(self, F, norm):
        """Move mean and deviation towards the batch's; one sample has no deviation."""
        norm = F.clip(norm, SHORTEST, LONGEST)
        count, share = norm.shape[0], self.share
        mean = F.mean(norm)
        self.state["mean"] = share * mean + (1.0 - share) * self.state["mean"]
        if count > 1:
            variance = F.sum(F.square(F.broadcast_sub(norm, mean))) / (count - 1)
            self.state["std"] = share * F.sqrt(variance) + (1.0 - share) * self.state["std"]

    def target(self, F, cosine, strength, norm, mean, std):
        """Return the margined cosine of the target."""
        margin = self.margin * strength
        norm = F.clip(F.BlockGrad(norm), SHORTEST, LONGEST)
        quality = F.clip((norm - mean) / (std + NEAR) * self.h, -1.0, 1.0)
        angle = safe_angle(F, cosine) - margin * quality
        return F.cos(F.clip(angle, NEAR, math.pi - NEAR)) - (margin + margin * quality)
