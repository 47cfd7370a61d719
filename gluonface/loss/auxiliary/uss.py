"""USS: every sample against the last embedding of each class, with one learned threshold."""

from __future__ import annotations

import typing

from .._binary import softplus
from ..uniface import UniFace
from ._base import AUXILIARY, Parameter, declare, weight_parameter
from ._embedding import StartedLoss

__all__ = ["USS"]


@AUXILIARY.register("uss")
class USS(StartedLoss):
    r"""Unified sample-to-sample loss: like UniFace, but with earlier samples instead of centres.

    .. math:: L_i = \mathrm{sp}(-z_{iy}) + \sum_{j \ne y} \mathrm{sp}(z_{ij}), \quad
              z_{iy} = s (c_{iy} - m) - b, \quad z_{ij} = s\, c_{ij} - b

    with :math:`\mathrm{sp}(z) = \log(1 + e^z)` and the cosines c to a memory, which has the last
    embedding of each class. The memory gets no gradient. After the loss of a training step the
    batch is written to it in the order of the rows: of two embeddings of a class the later one
    stays. A class that was not seen has no term. A sample whose class was not seen has no positive
    term.

    The bias b is learned. In the first step that computes the loss it begins at the mean over the
    batch of :math:`\log \sum_{j \ne y} e^{s c_{ij}}`.

    In a run the loss is computed from the second epoch on, when the memory is filled, unless its
    ``schedule`` says another time. `gluonface.head.PartialFC.compare_with_last` computes it, on
    sharded and sampled classes: a head with ``negative_weight="inclusion"`` weighs the terms of
    sampled classes.

    Notes
    -----
    `formula` takes the cosines (N, C) to the memory, in which every class was seen, the labels
    (N,) and the bias (1,).

    The paper compares with one random sample of each class. Its authors' code has a memory
    instead. That code stores the embeddings without normalising them. Here they have unit length,
    which changes no cosine. The code clamps the logits to ±s, reads uninitialised
    memory if a class is missing from the first epoch, and resets the bias to its first value
    whenever it falls to 0.
    """

    title = "USS"
    authors = "Li, Jia, Zhou, Shen, Duan"
    paper = "UniTSFace: Unified Threshold Integrated Sample-to-Sample Loss for Face Recognition"
    year = 2023
    venue = "NeurIPS 2023"
    arxiv = "2311.02523"
    kind = "memory"
    inputs_doc = "cosine : NDArray (N, C)\nlabel : NDArray (N,)\nbias : NDArray (1,)"
    outputs_doc = "NDArray (N,) float32"
    formula_text = "sp(b - s (cos(x, e_y) - m)) + sum sp(s cos(x, e_j) - b)"
    parameters = declare(
        weight=weight_parameter(1.0),
        margin=Parameter(
            0.1,
            "subtracted from the cosine to the last embedding of the own class",
            more="The margin m of the formula. The paper finds 0.1 to 0.4 equally good.",
            low=0.0,
            high=2.0,
            why="a negative margin rewards errors, and cosines are at most 2 apart",
        ),
        scale=Parameter(
            64.0,
            "factor s between cosines and logits",
            above=0.0,
            why="it multiplies the cosines",
        ),
        memory=Parameter(
            "float32",
            "how the memory is stored",
            more="``float16`` needs half of the space, with an error of about 1e-4 in a cosine.",
            choices=("float32", "float16"),
        ),
    )
    margin: float
    scale: float
    first = "bias"
    default_schedule = declare(**{"0": 0.0, "1 epochs": 1.0})

    def margin_of_terms(self) -> typing.Any:
        """Return the margin whose terms are those of this loss."""
        return UniFace(margin=self.margin, scale=self.scale)

    def formula(self, F, cosine, label, bias):
        """Return the losses (N,) of cosines (N, C), labels (N,) and the bias (1,)."""
        columns = F.expand_dims(F.contrib.arange_like(cosine, axis=1), axis=0)
        label = F.expand_dims(F.cast(label, dtype="float32"), axis=1)
        mine = F.broadcast_equal(label, columns)
        bias = F.expand_dims(bias, axis=0)
        logits = F.broadcast_sub((cosine - mine * self.margin) * self.scale, bias)
        return F.sum(softplus(F, F.where(mine, -logits, logits)), axis=1)
