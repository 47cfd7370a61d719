"""MXNet's optimizers, AdamW among them, from their settings."""

import math

from .._compat import mx

__all__ = ["SLOTS", "AdamW", "make_optimizer", "without_decay"]

# The arrays of an optimizer's state, in MXNet's order.
SLOTS = {
    "sgd": ("momentum",),
    "nag": ("momentum",),
    "adam": ("mean", "variance"),
    "adamw": ("mean", "variance"),
}


@mx.optimizer.register
class AdamW(mx.optimizer.Optimizer):
    """Adam with decoupled weight decay, which MXNet 1.9.1 has as an operator only.

    ``w <- w - lr * (m_hat / (sqrt(v_hat) + epsilon) + wd * w)``: the decay follows the learning
    rate and is not divided by the second moment.

    Parameters
    ----------
    learning_rate : float
    beta1, beta2 : float in [0, 1)
    epsilon : float

    References
    ----------
    Decoupled Weight Decay Regularization, 2017, arXiv 1711.05101.
    """

    def __init__(self, learning_rate=0.001, beta1=0.9, beta2=0.999, epsilon=1e-8, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def create_state(self, index, weight):
        """Return the zero first and second moment of a weight."""
        return (
            mx.nd.zeros(weight.shape, weight.context, dtype=weight.dtype),
            mx.nd.zeros(weight.shape, weight.context, dtype=weight.dtype),
        )

    def update(self, index, weight, grad, state):
        """Update one weight in place."""
        self._update_count(index)
        lr, wd = self._get_lr(index), self._get_wd(index)
        count = self._index_update_count[index]
        corrected = lr * math.sqrt(1 - self.beta2**count) / (1 - self.beta1**count)
        mean, variance = state
        mx.nd.contrib.adamw_update(
            weight,
            grad,
            mean,
            variance,
            rescale_grad=self.rescale_grad,
            lr=corrected,
            eta=1.0,
            wd=lr * wd,  # the operator does not multiply the decay by lr
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon,
            out=weight,
        )


def make_optimizer(config):
    """Return the MXNet optimizer of an `OptimizerConfig`.

    Notes
    -----
    MXNet's sgd and nag keep the learning rate inside the momentum (``v <- m v + lr (g + wd w)``),
    PyTorch outside; the two agree while the learning rate is constant. In nag that ``w`` is the
    weight after the update (MXNet writes it in place first). Its adam adds ``wd w`` to the
    gradient; adamw decays apart from it.
    """
    arguments = {"learning_rate": config.lr, "wd": config.wd}
    if config.name in ("sgd", "nag"):
        arguments["momentum"] = config.momentum
    else:
        arguments.update(beta1=config.beta1, beta2=config.beta2, epsilon=config.epsilon)
    return mx.optimizer.create(config.name, **arguments)


def without_decay(parameters):
    """Exclude vectors from weight decay: BatchNorm's gamma and beta, biases, PReLU slopes."""
    for parameter in parameters:
        if len(parameter.shape) == 1:
            parameter.wd_mult = 0.0
