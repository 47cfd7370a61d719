"""Centre loss: embeddings are drawn to a moving centre of their class."""

from ._base import AUXILIARY, declare, weight_parameter
from ._centers import CenterTracker, alpha_parameter
from ._formulas import squared

__all__ = ["Center"]


@AUXILIARY.register("center", aliases=("centre",))
class Center(CenterTracker):
    r"""Half the squared distance between an embedding and its class's centre.

    .. math:: L_i = \tfrac{1}{2} \lVert x_i - c_{y_i} \rVert^2, \qquad
              c_j \leftarrow c_j - \alpha \frac{\sum_{y_i = j} (c_j - x_i)}{1 + n_j}

    with :math:`n_j` the batch's samples of class j. The centres move by this rule of the paper
    after each batch in training, not by the optimizer; they begin at zero.

    Notes
    -----
    `formula` takes embeddings (N, D) and the centres of their classes (N, D).

    The embeddings are not normalised, so the loss also has a gradient by their length. gluon-face
    divides each sample's distance by its class's count in the batch, so a sample of a class with
    many samples has a smaller weight. It trains the centres by gradient descent.
    """

    title = "Center loss"
    authors = "Wen, Zhang, Li, Qiao"
    paper = "A Discriminative Feature Learning Approach for Deep Face Recognition"
    year = 2016
    venue = "ECCV 2016"
    formula_text = "1/2 |x - c_y|^2"
    parameters = declare(
        weight=weight_parameter(0.003, "The paper's lambda, which it varies from 0.0001 to 0.1."),
        alpha=alpha_parameter(),
    )

    def formula(self, F, x, own):
        """Return the losses (N,) of embeddings (N, D) and their classes' centres (N, D)."""
        return 0.5 * squared(F, x, own)
