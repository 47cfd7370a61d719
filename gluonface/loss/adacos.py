"""AdaCos: the scale follows from the data; there is no margin."""

import math

from ._margin import LOSSES, Margin, Parameter, declare

__all__ = ["AdaCos"]


@LOSSES.register("adacos")
class AdaCos(Margin):
    r"""Scaled cosines whose scale is chosen, once or at every step.

    .. math:: z_j = s \cos\theta_j, \quad s_0 = \sqrt 2 \log(C - 1), \quad
              s \leftarrow \frac{\log B}{\cos\min(\pi/4, \theta_{med})}, \;
              B = \frac{1}{N} \sum_i \sum_{j \ne y_i} e^{s \cos\theta_{ij}}

    B and the median of the targets' angles are over the global batch, the lower median for an even
    count. The scale is state that checkpoints keep. `strength` has no effect.

    Raises
    ------
    InputError
        By a head of fewer than 3 classes, for which the scale would be 0.

    Notes
    -----
    cavaface's scale is missing from checkpoints, so a resumed run begins with another one.
    """

    title = "AdaCos"
    authors = "Zhang, Zhao, Qiao, Wang, Li"
    paper = "AdaCos: Adaptively Scaling Cosine Logits for Effectively Learning Deep Face \
Representations"
    year = 2019
    arxiv = "1905.00292"
    family = "statistics"
    formula_text = "z_j = s cos(theta_j), s = log(B) / cos(min(pi/4, median theta_y))"
    parameters = declare(
        mode=Parameter(
            "dynamic",
            "whether the scale follows the batches",
            more="``fixed``: it stays at sqrt(2) log(C - 1).",
            choices=("dynamic", "fixed"),
        )
    )
    initial_state = declare(s=0.0)
    target_inputs = ("s",)
    others_inputs = ("s",)
    min_classes = 3
    plain_at_0 = False

    @property
    def statistics(self):
        """What `update` takes: nothing if the scale is fixed."""
        return ("cosine", "log_sum") if self.mode == "dynamic" else ()

    def prepare(self, num_classes):
        """Set the first scale, which depends on the number of classes."""
        super().prepare(num_classes)
        first = self.state["s"]
        if self.mode == "fixed" or (isinstance(first, float) and first == 0.0):
            self.state["s"] = math.sqrt(2.0) * math.log(num_classes - 1)

    def exponents(self, F, cosine):
        """Return s c, whose exponentials B adds up."""
        return cosine * self.state["s"]

    def update(self, F, cosine, log_sum):
        """Compute the scale from the batch."""
        count = cosine.shape[0]
        nearest = F.sort(F.clip(cosine, -1.0, 1.0), is_ascend=False)
        middle = nearest[(count - 1) // 2 : (count - 1) // 2 + 1]
        # cos(min(pi/4, theta)) is the cosine itself where it is above that of pi/4.
        slope = F.maximum(middle, math.cos(math.pi / 4))
        # A negative scale would invert the loss. From 0 the next step gives a positive one.
        self.state["s"] = F.maximum((log_sum - math.log(count)) / slope, 0.0)

    def target(self, F, cosine, strength, s):
        """Return the scaled cosine of the target."""
        return cosine * s

    def others(self, F, cosine, strength, target_cosine, target, s):
        """Return the scaled cosines."""
        return F.broadcast_mul(cosine, s)
