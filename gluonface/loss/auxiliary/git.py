"""Git loss: centre loss, and every centre pushes the other classes' embeddings away."""

from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._centers import CenterTracker, alpha_parameter
from ._formulas import NEGATIVE, pair_distances, squared

__all__ = ["Git"]


@AUXILIARY.register("git")
class Git(CenterTracker):
    r"""Centre loss and a push between samples and the centres of the batch's other samples.

    .. math:: L_i = \frac{\lambda_c}{2} \lVert x_i - c_{y_i} \rVert^2
              + \frac{\lambda_g}{N - 1} \sum_{j \neq i} \frac{1}{1 + \lVert x_i - c_{y_j} \rVert^2}

    The centres move as those of the centre loss, see `gluonface.loss.auxiliary.center.Center`.

    Notes
    -----
    `formula` takes embeddings (N, D) and the centres of their classes (N, D).

    The paper writes the push as a plain sum; the mean over the other N - 1 samples, taken here,
    keeps its size at every batch size. As there, j runs over all other samples, those of the own
    class too. gluon-face counts i = j as well, a constant 1/N, and needs a fixed batch size. The
    defaults are ours, because the paper varies both lambdas.
    """

    title = "Git loss"
    authors = "Calefati, Janjua, Nawaz, Gallo"
    paper = "Git Loss for Deep Face Recognition"
    year = 2018
    arxiv = "1807.08512"
    formula_text = "lambda_c/2 |x - c_y|^2 + lambda_g mean_j 1/(1 + |x - c_yj|^2)"
    parameters = declare(
        weight=weight_parameter(1.0, "It is a factor of both terms."),
        lambda_c=Parameter(0.01, "factor of the pull to the own centre", low=0.0, why=NEGATIVE),
        lambda_g=Parameter(
            0.1, "factor of the push from other samples' centres", low=0.0, why=NEGATIVE
        ),
        alpha=alpha_parameter(),
    )

    def formula(self, F, x, own):
        """Return the losses (N,) of embeddings (N, D) and their classes' centres (N, D)."""
        place = F.contrib.arange_like(x, axis=0)
        other = F.broadcast_not_equal(F.expand_dims(place, axis=1), F.expand_dims(place, axis=0))
        push = F.sum(other / (1.0 + pair_distances(F, x, own)), axis=1)
        others = F.maximum(F.sum(other, axis=1), 1.0)
        return 0.5 * self.lambda_c * squared(F, x, own) + self.lambda_g * push / others
