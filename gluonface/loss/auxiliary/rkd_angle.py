"""Relational distillation by angle: the angles within a batch are to be the teacher's."""

from ._base import AUXILIARY, declare, weight_parameter
from ._relations import RelationalLoss, angle_loss
from .rkd_distance import mean_parameter, unit_parameter

__all__ = ["RelationalAngle"]


@AUXILIARY.register("rkd_angle", aliases=("rkd_a",))
class RelationalAngle(RelationalLoss):
    r"""Huber's function of the differences of angles' cosines within a batch.

    .. math:: L = \frac{1}{N^3} \sum_{i,j,k} h\left( \cos \angle s_i s_j s_k -
              \cos \angle t_i t_j t_k \right)

    with h as of ``rkd_distance``, and the angle at the vertex j.

    Notes
    -----
    The embeddings may have different sizes. An angle with two equal embeddings has the cosine 0
    and no gradient. The batch is that of all processes: N^3 cosines are computed on each, some
    vertices at a time, so memory does not grow with N^3 and time does.
    """

    title = "Relational distillation, angles"
    paper = "Relational Knowledge Distillation"
    formula_text = "mean h(cos angle(s_i s_j s_k) - cos angle(t_i t_j t_k))"
    parameters = declare(
        weight=weight_parameter(50.0), mean=mean_parameter(), normalize=unit_parameter()
    )

    points = 3
    measure = staticmethod(angle_loss)
