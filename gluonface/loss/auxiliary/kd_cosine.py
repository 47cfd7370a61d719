"""Distillation by direction: the student's embedding is drawn to the teacher's."""

from ._base import AUXILIARY, declare, weight_parameter
from ._formulas import inner, unit
from ._teacher import TeacherLoss

__all__ = ["CosineDistillation"]


@AUXILIARY.register("kd_cosine")
class CosineDistillation(TeacherLoss):
    r"""One minus the cosine between the student's and the teacher's embedding of an image.

    .. math:: L_i = 1 - \frac{s_i^\top t_i}{\lVert s_i \rVert \lVert t_i \rVert}

    Notes
    -----
    `formula` takes the student's and the teacher's embeddings, (N, D) each.

    If the two networks have embeddings of different sizes, the student's are multiplied by a
    learned matrix first, see `TeacherLoss`. Choose it when the student is to take the teacher's
    place: their embeddings can then be compared with each other.
    """

    title = "Cosine distillation"
    authors = "Duong, Luu, Quach, Le"
    paper = (
        "ShrinkTeaNet: Million-scale Lightweight Face Recognition via Shrinking Teacher-Student "
        "Networks"
    )
    year = 2019
    arxiv = "1905.10620"
    further_reference = "This form, without a square, and the weight are those of TFace."
    outputs_doc = "NDArray (N,) float32\n    N samples of all processes; see `TeacherLoss`."
    formula_text = "1 - cos(s, t)"
    same_size = True
    parameters = declare(weight=weight_parameter(1.0))

    def formula(self, F, student, teacher):
        """Return the losses (N,) of the embeddings (N, D) of both."""
        return 1.0 - inner(F, unit(F, student), unit(F, teacher))
