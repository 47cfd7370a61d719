"""Distillation by distance: the student's embedding is drawn to the teacher's."""

from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._formulas import squared, unit
from ._teacher import TeacherLoss

__all__ = ["L2Distillation"]


@AUXILIARY.register("kd_l2")
class L2Distillation(TeacherLoss):
    r"""Squared distance between the student's and the teacher's embedding of an image.

    .. math:: L_i = \left\lVert \frac{s_i}{\lVert s_i \rVert} -
              \frac{t_i}{\lVert t_i \rVert} \right\rVert^2 \quad\text{or}\quad
              L_i = \frac{1}{D} \lVert s_i - t_i \rVert^2

    The first form, with embeddings of unit length, is twice the cosine loss. With the second form
    (``normalize: false``) the student also learns the length of the teacher's embedding, which
    depends on the quality of an image.

    Notes
    -----
    `formula` takes the student's and the teacher's embeddings, (N, D) each.

    If the two networks have embeddings of different sizes, the student's are multiplied by a
    learned matrix first, see `TeacherLoss`.
    """

    title = "L2 distillation"
    authors = "Romero, Ballas, Kahou, Chassang, Gatta, Bengio"
    paper = "FitNets: Hints for Thin Deep Nets"
    year = 2015
    venue = "ICLR 2015"
    arxiv = "1412.6550"
    further_reference = "There with the outputs of hidden layers and the factor 1/2."
    outputs_doc = "NDArray (N,) float32\n    N samples of all processes; see `TeacherLoss`."
    formula_text = "|s - t|^2"
    same_size = True
    parameters = declare(
        weight=weight_parameter(1.0),
        normalize=Parameter(
            True,
            "whether both embeddings are brought to unit length first",
            more="Without it the mean over the embedding's numbers is taken.",
        ),
    )

    def formula(self, F, student, teacher):
        """Return the losses (N,) of the embeddings (N, D) of both."""
        if self.normalize:
            return squared(F, unit(F, student), unit(F, teacher))
        return F.mean(F.square(student - teacher), axis=1)
