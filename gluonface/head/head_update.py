"""How a head that owns its class centres has them updated: no Gluon trainer reaches them."""

from .._compat import mx
from ..errors import InputError

__all__ = ["HeadUpdate"]


class HeadUpdate:
    """The part of `PartialFC` that stands in for a `gluon.Trainer` of its centres."""

    def set_optimizer(self, name, momentum=0.0, wd=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
        """Choose how a head that updates itself does it. Once, before the first `update`.

        Parameters
        ----------
        name : {"sgd", "nag", "adamw"}
        momentum : float, default 0.0
            Of sgd and nag.
        wd : float, default 0.0
            Weight decay of the centres. Biases and class margins are not decayed.
        beta1, beta2, epsilon : float
            Of adamw. Each class corrects its moments by its own number of updates.
        """
        self._own_rows("set_optimizer")
        if name == "adamw":
            options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
        else:
            options = {"momentum": momentum}
        self.rows.set_rule(name, wd=wd, **options)

    def update(self, lr, scale=1.0):
        """Update the rows of the backward passes since the last update. No collective.

        Parameters
        ----------
        lr : float
            Learning rate.
        scale : float, default 1.0
            The gradients, summed by class over those passes, are multiplied by it.
        """
        self._own_rows("update")
        self.rows.update(float(lr), float(scale))
        self._before = None

    def zero_grad(self):
        """Drop the gradients that `update` would use."""
        self._own_rows("zero_grad")
        self.rows.gradients.drop()

    def gradient_square_sum(self):
        """Return the sum of squares of the gradients that `update` would use, NDArray (1,).

        Of this rank's classes; not finite if one of them is not. Waits for the backward pass.
        """
        self._own_rows("gradient_square_sum")
        return mx.nd.array([self.rows.gradients.square_sum()], ctx=self.ctx)

    def discard(self):
        """Undo what the forward passes since the last update have changed, as if they had not been.

        For a step that is skipped: call it on every rank. Gradients of a head that updates itself
        are dropped, and what the margin learned of the batches is taken back.
        """
        if self.rows is not None:
            self.rows.gradients.drop()
        if self._before is not None:
            self.margin.state, self._before = self._before, None

    def _own_rows(self, what):
        if self.rows is None:
            raise InputError(
                f"{what} is for heads that update themselves (sample_rate below 1, or centers on "
                "host or disk); this one's parameters are for a gluon.Trainer"
            )
