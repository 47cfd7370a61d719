"""Relational distillation by distance: the batch's distances are to be the teacher's."""

from ... import _compat
from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._formulas import unit
from ._relations import distance_loss
from ._teacher import TeacherLoss, exact_gradient

__all__ = ["RelationalDistance", "mean_parameter", "unit_parameter"]


def mean_parameter():
    """Return the declaration of what a relational loss is the mean of."""
    return Parameter(
        "all",
        "over which pairs or triples the mean is taken",
        more="``all`` has those of an image with itself too, as the paper's code; ``distinct`` "
        "has none of them, so that its value does not depend on the size of the batch.",
        choices=("all", "distinct"),
    )


def unit_parameter():
    """Return the declaration of whether embeddings are normalised."""
    return Parameter(False, "whether both embeddings are brought to unit length first")


@AUXILIARY.register("rkd_distance", aliases=("rkd_d",))
class RelationalDistance(TeacherLoss):
    r"""Huber's function of the differences of relative distances within a batch.

    .. math:: L = \frac{1}{N^2} \sum_{i,j} h\left( \frac{\lVert s_i - s_j \rVert}{\mu_s} -
              \frac{\lVert t_i - t_j \rVert}{\mu_t} \right), \qquad
              h(a) = \begin{cases} a^2 / 2 & |a| < 1 \\ |a| - 1/2 & \text{else} \end{cases}

    with :math:`\mu` the mean of the distances that are not 0. The gradient flows through the
    student's mean too.

    Notes
    -----
    The embeddings may have different sizes and nothing is learned for it: only relations are
    compared. Two images with equal embeddings, such as one that is in the batch twice, have the
    distance 0 and no gradient; code without this rule was seen to give a gradient of 6e10 there.
    The batch is that of all processes.
    """

    title = "Relational distillation, distances"
    authors = "Park, Kim, Lu, Cho"
    paper = "Relational Knowledge Distillation"
    year = 2019
    venue = "CVPR 2019"
    arxiv = "1904.05068"
    further_reference = "The weight is TFace's."
    outputs_doc = "NDArray (1,) float32\n    Of the batch of all processes; see `TeacherLoss`."
    formula_text = "mean h(|s_i - s_j| / mean - |t_i - t_j| / mean)"
    parameters = declare(
        weight=weight_parameter(25.0), mean=mean_parameter(), normalize=unit_parameter()
    )

    def compare(self, x, teacher, labels):
        """Return the loss (1,); see `TeacherLoss.compare`."""
        if self.normalize:
            x, teacher = (unit(_compat.mx.nd, each) for each in (x, teacher))
        n = x.shape[0]
        with _compat.mx.autograd.pause():
            pairs = max(1, n * n if self.mean == "all" else n * (n - 1))
            found = distance_loss(x.detach(), teacher, pairs)
        return exact_gradient(x, *found)
