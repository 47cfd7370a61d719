"""Activations with parameters of their own: the per-channel PReLU (He et al., 2015).

MXNet's own PReLU (`LeakyReLU` with ``act_type="prelu"``) takes about 70% of the time of a mobile
network on a CPU: it is not vectorised and leaves oneDNN's blocked memory layout. The form "fast"
computes the same function, with the same parameter and gradients, from operators that oneDNN has.
"""

import contextlib
import threading

from .._compat import mx
from ..errors import InputError

__all__ = ["FORMS", "PReLU", "prelu_form", "set_prelu_form"]

FORMS = ("fast", "plain")

_override = threading.local()


def check_form(form):
    """Return `form` if it is one of `FORMS`.

    Raises
    ------
    InputError
        For anything else.
    """
    if form not in FORMS:
        raise InputError(f"unknown PReLU form {form!r}; expected one of {', '.join(FORMS)}")
    return form


@contextlib.contextmanager
def prelu_form(form):
    """Within the block, every PReLU of this thread that is traced or run eagerly takes `form`.

    Networks that were hybridized and have run keep the form that they were traced with.
    """
    check_form(form)
    previous = getattr(_override, "form", None)
    _override.form = form
    try:
        yield
    finally:
        _override.form = previous


def set_prelu_form(net, form):
    """Change the form of every PReLU in `net`, in place. Parameters stay as they are.

    Parameters
    ----------
    net : HybridBlock
        May be hybridized; it is traced again at the next call.
    form : {"fast", "plain"}
    """
    check_form(form)

    def change(block):
        if isinstance(block, PReLU):
            block.form = form
        if isinstance(block, mx.gluon.HybridBlock):
            block._clear_cached_op()

    net.apply(change)


class PReLU(mx.gluon.HybridBlock):
    """``x`` where it is positive, ``alpha * x`` elsewhere, with one slope per channel.

    Parameters
    ----------
    channels : int
        Size of the second axis of the input.
    form : {"fast", "plain"}, default "fast"
        How it is computed: "fast" for training on a CPU, "plain" (MXNet's operator) for GPUs and
        for export. The parameter ``alpha (channels,)``, its gradient and the output are the same.
    start : float, default 0.25
        Initial slope (the paper's value).

    References
    ----------
    He et al., Delving Deep into Rectifiers, https://arxiv.org/abs/1502.01852
    """

    def __init__(self, channels, form="fast", start=0.25, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.form = check_form(form)
        with self.name_scope():
            self.alpha = self.params.get(
                "alpha", shape=(channels,), init=mx.initializer.Constant(start)
            )

    @property
    def active_form(self):
        """The form in use now: that of `prelu_form`, or the block's own."""
        return getattr(_override, "form", None) or self.form

    def hybrid_forward(self, F, x, alpha):
        """Return the activation of `x` (N, channels, H, W), same shape."""
        if self.active_form == "plain":
            return F.LeakyReLU(x, gamma=alpha, act_type="prelu")
        slope = alpha.reshape((-1, 1, 1, 1))
        kwargs = {
            "kernel": (1, 1),
            "num_filter": self.channels,
            "num_group": self.channels,
            "no_bias": True,
        }
        positive = F.Convolution(F.Activation(x, act_type="relu"), 1 - slope, **kwargs)
        return F.elemwise_add(positive, F.Convolution(x, slope, **kwargs))

    def __repr__(self):
        return f"PReLU({self.channels}, form={self.form!r})"
