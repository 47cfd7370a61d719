"""LGM loss: classes as Gaussians, with a margin on the own class's distance."""

import math

from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._embedding import LearnedPerClass

__all__ = ["LGM"]


@AUXILIARY.register("lgm")
class LGM(LearnedPerClass):
    r"""Large-margin Gaussian mixture: each class is a Gaussian with learned mean and variances.

    .. math::

       d_k &= \tfrac{1}{2} \sum_t \frac{(x_t - \mu_{kt})^2}{\sigma^2_{kt}}, \qquad
       v_k = \tfrac{1}{2} \sum_t \log \sigma^2_{kt} \\
       L &= \mathrm{CE}(z, y) + \lambda (d_y + v_y), \qquad
       z_k = -(1 + \alpha [k = y])\, d_k - v_k

    Notes
    -----
    `formula` takes embeddings (N, D), labels (N,), means (C, D) and logarithms of variances
    (C, D).

    The learned parameter is the logarithm of the variance, so it stays positive; all is computed
    with logarithms, exact at any dimension. gluon-face computes products of exponentials, which
    are all 0 at D = 512, so that its loss is the logarithm of its safety constant; it also lacks
    v in the likelihood, which lets variances grow without end, and its variances can become
    negative. Each process keeps the Gaussians of all C classes.
    """

    title = "Large-margin Gaussian mixture"
    authors = "Wan, Zhong, Li, Chen"
    paper = "Rethinking Feature Distribution for Loss Functions in Image Classification"
    year = 2018
    arxiv = "1803.02988"
    formula_text = "CE(-(1 + alpha [k=y]) d_k - 1/2 log|S_k|) + lambda (d_y + 1/2 log|S_y|)"
    parameters = declare(
        weight=weight_parameter(1.0),
        alpha=Parameter(
            0.3,
            "margin on the own class's distance",
            more="The distance counts 1 + alpha times.",
            low=0.0,
            high=100.0,
            why="as a share of it",
        ),
        likelihood=Parameter(
            0.1,
            "factor of the likelihood term",
            more="The paper's lambda. The term draws embeddings to the mean of their class.",
            low=0.0,
            why="below 0 it would push samples away",
        ),
    )
    keeps = "a Gaussian per class"

    def _create(self, rng):
        self._parameter("mean", rng.normal(size=self.shape) / math.sqrt(self.embedding_size))
        self._parameter("log_var", rng.normal(size=self.shape) * 0.0)

    def formula(self, F, x, label, mean, log_var):
        """Return the losses (N,); see the class for the inputs."""
        precision = F.exp(-log_var)
        # The square multiplied out, about the means' own centre: (N, C, D) numbers would be many.
        origin = F.BlockGrad(F.mean(mean, axis=0, keepdims=True))
        x, mean = F.broadcast_sub(x, origin), F.broadcast_sub(mean, origin)
        scaled = mean * precision
        constant = F.expand_dims(F.sum(mean * scaled, axis=1), axis=0)
        square = F.dot(F.square(x), precision, transpose_b=True)
        square = square - 2.0 * F.dot(x, scaled, transpose_b=True)
        distance = 0.5 * F.relu(F.broadcast_add(square, constant))
        volume = 0.5 * F.sum(log_var, axis=1)
        own = F.pick(distance, label, axis=1)
        logits = -F.broadcast_add(distance, F.expand_dims(volume, axis=0))
        columns = F.contrib.arange_like(distance, axis=1)
        mine = F.broadcast_equal(
            F.expand_dims(F.cast(label, dtype="float32"), axis=1), F.expand_dims(columns, axis=0)
        )
        logits = logits - self.alpha * mine * distance
        cross_entropy = -F.pick(F.log_softmax(logits, axis=1), label, axis=1)
        return cross_entropy + self.likelihood * (own + F.take(volume, label))
