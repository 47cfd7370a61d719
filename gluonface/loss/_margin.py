"""The template of all margin losses, and how their parameters are declared and checked.

A loss declares its parameters in a table and overrides `Margin.target`. The checks, the signature,
the docstring, `gluonface losses` and the pages of the docs are made from the table.
"""

from __future__ import annotations

import math
import typing

from ..errors import InputError
from ..parameters import Parameter, declare
from ._angle import POLICIES
from ._loss import Loss, LossRegistry

__all__ = [
    "LOSSES",
    "Margin",
    "Parameter",
    "angle_parameter",
    "cosine_parameter",
    "declare",
    "policy_parameter",
    "scale_parameter",
]

LOSSES = LossRegistry("loss")

SCALE_WHY = "it multiplies the cosines, and a softmax over unscaled or negated ones cannot converge"
STRENGTH = Parameter(
    1.0,
    "share of the margins in force",
    low=0.0,
    high=1.0,
    why="0 is the normalised softmax without a margin, 1 the loss as published",
)


class Margin(Loss):
    r"""Template of all margin losses: formulas only, no weight, no knowledge of processes.

    The loss of sample i with label y is the softmax cross entropy

    .. math:: L_i = \log \sum_j e^{z_{ij}} - z_{iy}, \quad
              z_{iy} = s\, f(c_{iy}), \quad z_{ij} = s\, g(c_{ij})

    of cosines :math:`c_{ij}` between embedding and class centres. A loss overrides `target`, which
    is f; one that also changes the other classes' logits overrides `others`, which is g.

    Parameters
    ----------
    **params
        Those of the class's table `parameters`; the paper's values where left out.

    Attributes
    ----------
    name : str
        The registered name.
    scale : float
        The factor s between cosines and logits. May be set at any time.
    strength : float, default 1.0
        In [0, 1]. All margins are multiplied by it: 0 is the normalised softmax at the same
        scale, 1 the full loss. May be set at any time, for margin warm-up.
    unit_embedding, unit_weight : bool
        Whether embeddings and class centres are normalised before the inner product.
    has_bias : bool
        Whether a bias per class is added to the logits.
    has_shared_bias : bool
        Whether one learned bias is part of all logits; see `BinaryMargin`.
    subcenters : int
        Centres of each class; the largest cosine counts.
    state : dict of str to float or NDArray (1,)
        Statistics of the batches. `update` changes them in training mode only, to the same values
        on all ranks; `PartialFC.state_dict` saves them.
    target_inputs, others_inputs : tuple of str
        What `target` and `others` take as keyword arguments: ``"norm"``, the length of the
        embedding; ``"class_margin"``, the learned margin of the own class; ``"row_margin"``, what
        `row_margins` gives for the sample; ``"bank_cosine"``, the cosine to the own class's row of
        the bank; names of `state`.
    norm_gradient : bool
        Whether `target` is differentiable by the norm.
    homogeneous : bool
        Whether all logits are proportional to the embedding's length, at the same direction. They
        may then use the norm in `others`, too, and `norm_gradient` is not needed.
    loss_factor : float
        What the loss is multiplied by, `norm_penalty` included.
    statistics : tuple of str
        What `update` takes: ``"cosine"``, ``"norm"``, ``"log_sum"``.
    min_classes : int
        The smallest number of classes for which the loss is defined.
    plain_at_0 : bool
        Whether `strength` 0 is the normalised softmax at the same scale.
    uses_bank : bool
        Whether the head keeps an embedding of each class, see `LVFace`.
    """

    name = "margin"
    family = "target-only"  # or "hard-negative", "statistics", "binary": what it needs of the batch

    scale: float = 1.0
    strength: float = 1.0
    unit_embedding: bool = True
    unit_weight: bool = True
    has_bias: bool = False
    has_shared_bias: bool = False
    subcenters: int = 1
    initial_state: typing.Mapping[str, float] = declare()
    target_inputs: tuple[str, ...] = ()
    others_inputs: tuple[str, ...] = ()
    norm_gradient: bool = False
    homogeneous: bool = False
    loss_factor: float = 1.0
    statistics: tuple[str, ...] = ()
    min_classes: int = 1
    plain_at_0: bool = True
    uses_bank: bool = False

    def __init__(self, **params: typing.Any):
        super().__init__(**params)
        self.reset()

    def reset(self) -> None:
        """Set the state to the initial one."""
        self.state: dict[str, typing.Any] = dict(self.initial_state)

    @property
    def changes_others(self) -> bool:
        """Whether the logits of the other classes are more than scaled cosines."""
        return type(self).others is not Margin.others

    @property
    def penalises_norm(self) -> bool:
        """Whether a penalty on the embedding's length is added to the loss."""
        return type(self).norm_penalty is not Margin.norm_penalty

    @property
    def uses_norm(self) -> bool:
        """Whether the lengths of the embeddings are needed."""
        return self.penalises_norm or "norm" in (
            *self.target_inputs,
            *self.others_inputs,
            *self.statistics,
        )

    @property
    def has_row_margin(self) -> bool:
        """Whether every sample has a margin of its own, from `row_margins`."""
        return "row_margin" in self.target_inputs

    @property
    def has_class_margin(self) -> bool:
        """Whether every class has a learned margin."""
        return "class_margin" in self.target_inputs

    @property
    def shares_target(self) -> bool:
        """Whether every shard needs the target's cosine of every sample."""
        return self.family == "hard-negative" or "cosine" in self.statistics

    def prepare(self, num_classes: int) -> None:
        """Check that the loss is defined for this many classes, and set what depends on them.

        Raises
        ------
        InputError
            If there are too few classes, or a parameter does not suit their number.
        """
        if num_classes < self.min_classes:
            raise InputError(
                f"{self.name} is not defined for {num_classes} classes; it needs at least "
                f"{self.min_classes}"
            )

    def refuse_smoothing(self, label_smoothing: float) -> None:
        """Raise InputError if the loss cannot have this label smoothing."""

    def update(self, F: typing.Any, **statistics: typing.Any) -> None:
        """Change `state` by the global batch; called before the losses, in training mode only.

        Parameters
        ----------
        F : module
            `mxnet.nd`.
        cosine : NDArray (N,), if in `statistics`
            The target's cosine of every sample of all ranks.
        norm : NDArray (N,), if in `statistics`
            The length of every embedding.
        log_sum : NDArray (1,), if in `statistics`
            log of the sum of exp(`exponents`) over all samples and all classes but their own.
        """

    def row_margins(self, count: int, cosine: typing.Any = None) -> typing.Any:
        """Return the margins of the samples of all ranks, alike on all of them.

        Parameters
        ----------
        count : int
            Samples of all ranks.
        cosine : numpy.ndarray (count,), if ``"cosine"`` is in `statistics`
            The targets' cosines.

        Returns
        -------
        numpy.ndarray (count,) float32
        """
        raise NotImplementedError

    def exponents(self, F, cosine):
        """Return the exponents (N, C) whose exponentials ``"log_sum"`` adds up."""
        raise NotImplementedError

    def norm_penalty(self, F, norm, strength):
        """Return what is added to each sample's loss, (N,), differentiable by `norm` (N,)."""
        raise NotImplementedError

    def class_penalty(self, F, mean_margin, strength):
        """Return what is added to every sample's loss, (1,), given the mean class margin (1,)."""
        raise NotImplementedError

    def __setattr__(self, name, value):
        if name == "strength":
            value = STRENGTH.check(self.name, name, value)
        super().__setattr__(name, value)

    def target(self, F, cosine, strength, **inputs):
        """Return the target's logit divided by the scale.

        Parameters
        ----------
        F : module
            `mxnet.nd` or `mxnet.sym`.
        cosine : NDArray or Symbol (N,) float32
            The cosine between each embedding and its own class centre. May leave [-1, 1] by
            rounding.
        strength : NDArray or Symbol (N,) float32
            What to multiply the margins by.
        **inputs : NDArray or Symbol (N,) float32
            Those named in `target_inputs`.

        Returns
        -------
        NDArray or Symbol (N,) float32
            Differentiable in `cosine`, with finite gradients at and beyond ±1.
        """
        return cosine

    def others(self, F, cosine, strength, target_cosine, target, **inputs):
        """Return the logits of all classes but the target, divided by the scale.

        Entry (i, j) may depend on `cosine` at (i, j) and on row i of the other arguments only, so
        that every shard can compute its own classes. Only the gradient by `cosine` is taken.

        Parameters
        ----------
        F : module
            `mxnet.nd` or `mxnet.sym`.
        cosine : NDArray or Symbol (N, C) float32
            Cosines to the classes of one shard, which may be all or some. What is returned in a
            sample's own column is not used.
        strength : NDArray or Symbol (N, 1) float32
            What to multiply the margins by.
        target_cosine, target : NDArray or Symbol (N, 1) float32
            The target's cosine and the result of `target`, whichever shard has the class. None
            where `family` is not ``"hard-negative"`` and the classes are sharded.
        **inputs : NDArray or Symbol (N, 1) float32
            Those named in `others_inputs`.

        Returns
        -------
        NDArray or Symbol (N, C) float32
        """
        return cosine


MARGIN = "The margin m of the formula."


def scale_parameter(default=64.0, more=""):
    """Return the declaration of the scale s that nearly every loss has."""
    return Parameter(
        default, "factor s between cosines and logits", more=more, above=0.0, why=SCALE_WHY
    )


def angle_parameter(default=0.5, more=MARGIN):
    """Return the declaration of a margin that is added to the target's angle."""
    return Parameter(
        default,
        "added to the target's angle",
        "radians",
        more,
        low=0.0,
        high=math.pi,
        why="angles end at pi; degrees must be multiplied by pi/180",
    )


def cosine_parameter(default=0.35, more=MARGIN):
    """Return the declaration of a margin that is subtracted from the target's cosine."""
    return Parameter(
        default,
        "subtracted from the target's cosine",
        more=more,
        low=0.0,
        high=2.0,
        why="a negative margin rewards errors, and cosines are at most 2 apart",
    )


def policy_parameter(where=""):
    """Return the declaration of the rule beyond pi; see `angular_target`."""
    return Parameter(
        "hard",
        f"what happens where theta + m > pi{where}",
        more="``hard``, the code of the ArcFace paper: c - m sin(m), which goes on falling but "
        "steps down at pi. ``easy``: the margin applies only where c > 0. ``none``: cos(theta + m) "
        "everywhere. ``psi``: the continuation that falls for all angles and has no step.",
        choices=POLICIES,
    )
