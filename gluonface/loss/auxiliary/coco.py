"""COCO loss: a softmax over scaled cosines to centres of its own."""

from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._embedding import LearnedPerClass
from ._formulas import unit

__all__ = ["Coco"]


@AUXILIARY.register("coco")
class Coco(LearnedPerClass):
    r"""Congenerous cosine: softmax cross entropy of scaled cosines to learned centres.

    .. math:: L_i = \log \sum_j e^{\alpha \cos(x_i, c_j)} - \alpha \cos(x_i, c_{y_i})

    Notes
    -----
    `formula` takes embeddings (N, D), labels (N,) and centres (C, D).

    The same as the head ``normface`` with its centres; as a head it can be sharded. Here each
    process keeps all C centres.
    """

    title = "COCO loss"
    authors = "Liu, Li, Wang"
    paper = "Rethinking Feature Discrimination and Polymerization for Large-scale Recognition"
    year = 2017
    arxiv = "1710.00870"
    formula_text = "CE(alpha cos(x, c_j), y)"
    parameters = declare(
        weight=weight_parameter(1.0),
        scale=Parameter(
            12.0,
            "factor alpha between cosines and logits",
            more="6.25 to 16 for the paper's sets; larger for more classes.",
            above=0.0,
            why="a softmax over unscaled or negated cosines cannot converge",
        ),
    )

    def _create(self, rng):
        self._parameter("centers", rng.normal(size=self.shape) * 0.01)

    def formula(self, F, x, label, centers):
        """Return the losses (N,) of embeddings (N, D), labels (N,) and centres (C, D)."""
        logits = self.scale * F.dot(unit(F, x), unit(F, centers), transpose_b=True)
        return -F.pick(F.log_softmax(logits, axis=1), label, axis=1)
