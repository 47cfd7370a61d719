"""Label smoothing: the target gives a small share to the other classes."""

from ... import _compat
from ...errors import InputError
from .._labels import host_labels
from ._base import AUXILIARY, Auxiliary, Parameter, declare

__all__ = ["LabelSmoothing"]


@AUXILIARY.register("label_smoothing")
class LabelSmoothing(Auxiliary):
    r"""Cross entropy to a target that gives a small share to the other classes.

    .. math:: L_i = -(1 - \epsilon) \log p_{iy} - \frac{\epsilon}{C - 1} \sum_{j \neq y} \log p_{ij}

    Notes
    -----
    `gluonface.head.PartialFC` and `gluonface.loss.MarginSoftmaxLoss` take the same smoothing
    as ``label_smoothing=`` and give the same losses; a sharded head does it itself, since no
    process has all logits. In a recipe ``auxiliary: {label_smoothing: 0.1}`` sets
    ``head.label_smoothing``. This class is for logits of your own.

    The paper spreads epsilon over all classes, the target among them; that is epsilon (C - 1)/C
    here.
    """

    title = "Label smoothing"
    authors = "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna"
    paper = "Rethinking the Inception Architecture for Computer Vision"
    year = 2015
    arxiv = "1512.00567"
    kind = "logits"
    inputs_doc = "logits : NDArray (B, C)\nlabel : NumPy array or NDArray (B,)"
    outputs_doc = "NDArray (B,) float32"
    formula_text = "-(1 - eps) log p_y - eps/(C - 1) sum_j log p_j"
    parameters = declare(
        smoothing=Parameter(
            0.1,
            "share of the target that goes to the other classes",
            more="The epsilon of the formula.",
            low=0.0,
            high=0.9,
            why="it is a share, and most must stay with the label",
        )
    )

    def formula(self, F, logits, label):
        """Return the losses (B,) of logits (B, C) and labels (B,)."""
        log_p = F.log_softmax(logits, axis=1)
        own = F.pick(log_p, label, axis=1)
        ones = F.sum(F.ones_like(log_p), axis=1)
        rest = (F.sum(log_p, axis=1) - own) / F.maximum(ones - 1.0, 1.0)
        return -(1.0 - self.smoothing) * own - self.smoothing * rest

    def __call__(self, logits, label):
        """Return the losses (B,) of logits (B, C) and labels (B,), checked."""
        from .._block import to_float32

        if logits.ndim != 2:
            raise InputError(
                f"label_smoothing: logits have the shape {logits.shape}, expected (batch, classes)"
            )
        labels = host_labels(label, logits.shape[1])
        if len(labels) != logits.shape[0]:
            raise InputError(f"label_smoothing: {len(labels)} labels, {logits.shape[0]} rows")
        label = _compat.mx.nd.array(labels, ctx=logits.context, dtype="int64")
        return self.formula(_compat.mx.nd, to_float32(logits), label)
