"""OHEM: only the batch's largest losses count."""

from __future__ import annotations

import typing

from ... import _compat
from ...errors import InputError
from ._base import AUXILIARY, Auxiliary, Parameter, declare

__all__ = ["OHEM"]


@AUXILIARY.register("ohem", aliases=("hard_mining",))
class OHEM(Auxiliary):
    r"""Online hard-example mining: the mean of the k largest losses of the batch.

    .. math:: L'_i = \tfrac{N}{k} [i \in \text{top } k]\, L_i, \qquad
              k = \max(1, \lfloor \text{keep} \cdot N \rfloor)

    so that the mean over the batch is the mean of the k losses kept.

    Notes
    -----
    The selection has no gradient. With several processes (`initialize` with their communicator) the
    k largest are those of the batch of all of them. cavaface sorts the one mean loss of the batch,
    and so keeps all of it.
    """

    title = "Online hard-example mining"
    authors = "Shrivastava, Gupta, Girshick"
    paper = "Training Region-based Object Detectors with Online Hard Example Mining"
    year = 2016
    arxiv = "1604.03540"
    kind = "losses"
    inputs_doc = "losses : NDArray (B,)\n    Of a head."
    outputs_doc = "NDArray (B,) float32\n    In place of the head's: 0 for samples left out."
    formula_text = "mean of the largest losses"
    parameters = declare(
        keep=Parameter(
            0.5,
            "share of the batch that counts",
            more="Our value; the paper keeps 128 of some 2,000 regions.",
            above=0.0,
            high=1.0,
            why="1 keeps all, and something must be kept",
        )
    )

    comm: typing.Any = None

    def initialize(self, num_classes=None, embedding_size=None, comm=None, ctx=None, seed=0):
        """Take the communicator; see `EmbeddingLoss.initialize`."""
        self.comm = comm
        return self

    def __call__(self, losses):
        """Return the losses (B,) with all but the largest of the whole batch at 0."""
        from .._block import to_float32

        if losses.ndim != 1:
            raise InputError(
                f"ohem: losses have the shape {losses.shape}, expected (batch,), one per sample"
            )
        losses = to_float32(losses)
        nd = _compat.mx.nd
        with _compat.mx.autograd.pause():
            mine, first = losses.detach(), 0
            if self.comm is not None and self.comm.size > 1:
                count = nd.full((1,), mine.shape[0])
                counts = self.comm.allgather(count, name="auxiliary.ohem.counts").asnumpy()
                first = int(counts[: self.comm.rank].sum())
                mine = self.comm.allgather(mine, name="auxiliary.ohem")
            total = mine.shape[0]
            kept = max(1, int(self.keep * total))
            mask = nd.topk(mine, k=kept, ret_typ="mask")[first : first + losses.shape[0]]
            mask = mask * (total / kept)
        # Selected, not multiplied: an infinite loss left out must not become NaN.
        return nd.where(mask > 0, losses * mask, nd.zeros_like(losses))
