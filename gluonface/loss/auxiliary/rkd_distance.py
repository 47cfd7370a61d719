"""Relational distillation by distance: the batch's distances are to be the teacher's."""

from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._relations import RelationalLoss, distance_loss

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
class RelationalDistance(RelationalLoss):
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
    paper = "Relational Knowledge Distillation"
    formula_text = "mean h(|s_i - s_j| / mean - |t_i - t_j| / mean)"
    parameters = declare(
        weight=weight_parameter(25.0), mean=mean_parameter(), normalize=unit_parameter()
    )

    points = 2
    measure = staticmethod(distance_loss)
