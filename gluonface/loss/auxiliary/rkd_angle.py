"""Relational distillation by angle: the angles within a batch are to be the teacher's."""

from ... import _compat
from ._base import AUXILIARY, declare, weight_parameter
from ._formulas import unit
from ._relations import angle_loss
from ._teacher import TeacherLoss, exact_gradient
from .rkd_distance import mean_parameter, unit_parameter

__all__ = ["RelationalAngle"]


@AUXILIARY.register("rkd_angle", aliases=("rkd_a",))
class RelationalAngle(TeacherLoss):
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
    authors = "Park, Kim, Lu, Cho"
    paper = "Relational Knowledge Distillation"
    year = 2019
    venue = "CVPR 2019"
    arxiv = "1904.05068"
    further_reference = "The weight is TFace's."
    outputs_doc = "NDArray (1,) float32\n    Of the batch of all processes; see `TeacherLoss`."
    formula_text = "mean h(cos angle(s_i s_j s_k) - cos angle(t_i t_j t_k))"
    parameters = declare(
        weight=weight_parameter(50.0), mean=mean_parameter(), normalize=unit_parameter()
    )

    def compare(self, x, teacher, labels):
        """Return the loss (1,); see `TeacherLoss.compare`."""
        if self.normalize:
            x, teacher = (unit(_compat.mx.nd, each) for each in (x, teacher))
        n = x.shape[0]
        with _compat.mx.autograd.pause():
            triples = max(1, n**3 if self.mean == "all" else n * (n - 1) * (n - 2))
            found = angle_loss(x.detach(), teacher, float(triples))
        return exact_gradient(x, *found)
