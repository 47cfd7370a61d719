"""The class-sharded classifier around any margin, with a hand-written softmax and gradient.

Papers: Partial FC: Training 10 Million Identities on a Single Machine, 2020, arXiv 2010.05222;
Killing Two Birds with One Stone: Efficient and Robust Training of Face Recognition CNNs by
Partial FC, 2022, arXiv 2203.15565. Each rank owns the centres of some classes and sees the
embeddings of all ranks. Unlike in the papers' code the loss is not clamped, every positive class is
kept, and shards are not padded with classes that do not exist.
"""

from __future__ import annotations

import functools
import logging
import numbers
import re
from os import PathLike
from typing import Any

from .._compat import mx
from ..errors import InputError
from ..loss import Margin, get_loss
from ..loss._block import check_filter, check_smoothing, to_float32
from ..loss._labels import host_labels
from ..parallel.agreement import agree
from ..parallel.communicator import Communicator, Local
from .added.added_losses import AddedLosses, LastStep
from .added.distillation import TeacherCenters
from .bank.embedding_bank import EmbeddingBank
from .bank.two_anchors import TwoAnchors
from .binary.step import ShardedBinary
from .class_centers import ClassCenters, GluonCenters
from .class_chunk import StepSettings
from .head_state import HeadState
from .initial_centers import shard_range
from .row_optimizers import MODES
from .sampled_centers import SampledCenters
from .sampling import SAMPLERS
from .sharded_softmax import ShardedSoftmax, gather_labels
from .storage import PLACES

__all__ = ["PartialFC", "require_same_rows"]

logger = logging.getLogger(__name__)
HEAD_MODES = ("sharded", "replicated")
NEGATIVE_WEIGHTS = ("inclusion", "none")
PAYS_FROM = 500_000  # classes; with fewer, sampling was not seen to make training faster


class PartialFC(AddedLosses, HeadState):
    """Class centres, sharded over the ranks, and the margin softmax over all of them.

    Parameters
    ----------
    margin : Margin or str
        From `get_loss`, or its name. `margin.strength` and `margin.scale` may be changed at any
        time; the next call uses them.
    num_classes : int
        C, at least 1, over all ranks.
    embedding_size : int
        D, at least 1.
    sample_rate : float, default 1.0
        In (0, 1]: share of the classes that are in a step. The classes of the batch always are.
        Below 1 the head updates its centres itself, see `updates_itself`.
    comm : Local or Horovod, optional
        The default is `Local`, one process with all classes.
    ctx : mxnet.Context, optional
        The device of the centres. The default is the CPU.
    seed : int, default 0
        Of the initial centres, which do not depend on the number of ranks.
    label_smoothing : float, default 0.0
        In [0, 1): the share of the target's probability that is spread over the other classes.
    filter_above : float, optional
        In (0, 1]: classes nearer than this cosine to a sample, other than its own, are left out
        of its denominator, and of label smoothing. For data in which identities occur twice; 0.4
        is usual.
    sampler : {"hash", "exact"}
        ``hash``: every class is sampled with probability `sample_rate`, by a hash of (seed,
        `sampling_step`, class): the same classes on any number of ranks. ``exact``: exactly that
        share of each rank's classes.
    unbiased : bool, default False
        Whether to add the log of 1 over their probability to the logits of sampled negatives, so
        that the denominator is right on average. The papers do not.
    negative_weight : {"inclusion", "none"}
        Of binary losses that sample: ``inclusion`` multiplies the terms of sampled negatives by 1
        over their probability, so that the loss and its gradient are right on average and the
        bias does not depend on the rate. ``none``, as in UniFace's code, leaves them as they are:
        they weigh less, and the bias settles elsewhere when the rate changes.
    momentum_mode : {"frozen", "catchup", "reset"}
        For classes that are not sampled, and their biases and margins. ``frozen``: nothing
        changes, as in the papers' code.
        ``catchup``: at its next use a class makes the steps it has missed, momentum and decay, as
        if every step had updated all classes. ``reset``: its momentum is 0 at its next use.
    centers : {"memory", "host", "disk"}
        Where centres and momentum are stored: on the device `ctx`, in the process's memory, or in
        memory-mapped files in `centers_path`, for more classes than fit into memory.
    centers_path : path, optional
        A folder on a fast disk, for working files that are removed with the process.
    wire_dtype : {"float32", "float16"}
        Of embeddings and their gradients between ranks. float16 halves the bytes, with an error
        of about 1e-5 in a cosine.
    chunk : int, optional
        Classes computed at a time. Logits then take N x chunk numbers instead of N x m, for one
        more matrix product.
    mode : {"sharded", "replicated"}
        ``replicated``: every rank has all centres, computes the losses of its own samples, and
        the gradients of the centres are summed over the ranks: C D numbers are sent in each
        backward pass. Without sampling, and with the centres in `memory`.
    updates_itself : bool, optional
        None: where it has to, see the attribute. True: the head has its own optimizer also where
        all centres are in memory and in every step. Then `sample_rate` may be changed. A binary
        loss then needs no array for the
        gradients of the centres: the update computes them some rows at a time.
    name : str, default "head"
        Prefix of its parameters and collectives. Two heads in one process need two names.
    bank : bool, default False
        Whether to make room for an embedding of each class now, for a margin that `set_margin` will
        give later. A margin that uses them (`lvface`) has it without being asked for.

    Attributes
    ----------
    weight : mxnet.gluon.Parameter (stop - start, D) float32, or None
        This rank's centres, for `gluon.Trainer` with any optimizer. None on a rank without
        classes, when there are fewer classes than ranks.
        With k centres for each class (`Margin.subcenters`) its shape is (stop - start, k D).
    bias : mxnet.gluon.Parameter (stop - start,) or None
        For margins with a bias. (1,), alike on all ranks, for binary losses whose classes share
        one.
    class_margin : mxnet.gluon.Parameter (stop - start,) or None
        For margins that learn one for each class.
    banks : dict of str to EmbeddingBank
        An embedding of each class, stored where the centres are, without gradient and without
        optimizer state: ``bank`` for the margins that use it, ``last_embedding`` after `remember`.
    updates_itself : bool
        True if the head owns its centres and their optimizer: `set_optimizer` once, `update` after
        every backward pass; the three parameters above are None then. False if they are Gluon
        parameters.
    sampling_step : int
        The step number for which the next call samples. Counts the calls in training mode of a
        head that updates itself, unless set.
    start, stop : int
        The classes of this rank.

    Notes
    -----
    ``head(embedding, label)`` returns the losses of this rank's samples, with exact gradients of
    any function of them. With the sum over all ranks of ``loss.sum() / N`` as the objective,
    gradients of a replicated backbone must be summed over the ranks, not averaged; the gradients
    of the centres are complete.
    """

    def __init__(
        self,
        margin: Margin | str,
        num_classes: int,
        embedding_size: int,
        sample_rate: float = 1.0,
        comm: Communicator | None = None,
        ctx: Any = None,
        seed: int = 0,
        label_smoothing: float = 0.0,
        filter_above: float | None = None,
        sampler: str = "hash",
        unbiased: bool = False,
        momentum_mode: str = "frozen",
        centers: str = "memory",
        centers_path: str | PathLike | None = None,
        wire_dtype: str = "float32",
        chunk: int | None = None,
        mode: str = "sharded",
        name: str = "head",
        negative_weight: str = "inclusion",
        updates_itself: bool | None = None,
        bank: bool = False,
    ):
        self.margin = get_loss(margin) if isinstance(margin, str) else margin
        if not isinstance(self.margin, Margin):
            raise InputError(f"margin must come from get_loss or be its name, got {margin!r}")
        self.num_classes = _whole("num_classes", num_classes, 1)
        self.embedding_size = _whole("embedding_size", embedding_size, 1)
        self.seed = _whole("seed", seed, 0)
        self._sample_rate = _rate(sample_rate)
        for option, value, known in (
            ("sampler", sampler, SAMPLERS),
            ("momentum_mode", momentum_mode, MODES),
            ("centers", centers, PLACES),
            ("wire_dtype", wire_dtype, ("float32", "float16")),
            ("mode", mode, HEAD_MODES),
            ("negative_weight", negative_weight, NEGATIVE_WEIGHTS),
        ):
            if value not in known:
                raise InputError(f"{option}={value!r} is not known; expected {', '.join(known)}")
        self.chunk = None if chunk is None else _whole("chunk", chunk, 1)
        self.wire_dtype, self.mode = wire_dtype, mode
        self.binary: bool = self.margin.family == "binary"
        needed = self.sample_rate < 1.0 or centers != "memory"
        self.updates_itself = needed or bool(updates_itself)
        self.sampling_step = 0
        self.label_smoothing = check_smoothing(label_smoothing)
        self._check_updates(needed, updates_itself, unbiased)
        self.filter_above = check_filter(filter_above, self.margin)
        if wire_dtype == "float16" and not self.margin.unit_embedding:
            raise InputError(
                f"wire_dtype='float16' needs embeddings of length 1, and {self.margin.name} does "
                "not normalise them; use float32"
            )
        self.margin.prepare(self.num_classes)
        self.comm = comm or Local()
        self.ctx: Any = ctx or mx.cpu()
        self.name = name
        self.start, self.stop = shard_range(self.num_classes, self.comm.rank, self.comm.size)
        if mode == "replicated":
            self._check_replicated()
            self.start, self.stop = 0, self.num_classes
        self.params: Any = mx.gluon.ParameterDict(f"{name}_")
        self.width = self.embedding_size * self.margin.subcenters
        self._figures: Any = None
        self.teacher_centers: TeacherCenters | None = None
        self._last_step: LastStep | None = None
        self._margin_before = None
        self._agree(
            sampler=sampler,
            unbiased=bool(unbiased),
            momentum_mode=momentum_mode,
            negative_weight=negative_weight,
        )
        if sample_rate < 1.0 and num_classes < PAYS_FROM and self.comm.rank == 0:
            logger.warning(
                "sample_rate=%g with %d classes: sampling was seen to pay from about %d classes; "
                "below it costs accuracy for no speed",
                sample_rate,
                num_classes,
                PAYS_FROM,
            )
        initial_bias = None
        if self.binary:
            whole = negative_weight == "inclusion"
            share = 1.0 if whole else self.sample_rate
            binary: Any = self.margin  # a `BinaryMargin`
            initial_bias = binary.initial_bias(self.num_classes, share)
        common = (self.margin, self.start, self.stop, self.width, self.ctx, initial_bias)
        self.class_centers: ClassCenters
        if self.updates_itself:
            self.class_centers = SampledCenters(
                *common,
                self.sample_rate,
                self.seed,
                sampler,
                unbiased,
                momentum_mode,
                centers,
                centers_path,
                f"{name}-{self.comm.rank}",
                negative_weight,
            )
        else:
            summed = mode == "replicated" and self.comm.size > 1
            allreduce = self._allreduce if summed else None
            self.class_centers = GluonCenters(*common, self.seed, self.params, allreduce)
        found = self.class_centers
        self.weight, self.bias, self.class_margin = found.weight, found.bias, found.class_margin
        self.banks: dict[str, EmbeddingBank] = {}
        self._place, self._weighs = (centers, centers_path), negative_weight == "inclusion"
        if bank or self.margin.uses_bank:
            self._make_bank("bank")

    def _make_bank(self, name, dtype="float32"):
        """Make an embedding bank unless there is one of this name."""
        if name not in self.banks:
            self.banks[name] = EmbeddingBank(
                self.start,
                self.stop,
                self.embedding_size,
                self.ctx,
                *self._place,
                f"{self.name}-{self.comm.rank}-{name}",
                undoes=self.updates_itself,
                dtype=dtype,
            )

    @property
    def sample_rate(self) -> float:
        """Share of the classes that are in a step. Of a head that updates itself it may be set.

        On all ranks alike. The next call samples with it; nothing else changes.
        """
        return self._sample_rate

    @sample_rate.setter
    def sample_rate(self, value: float) -> None:
        value = _rate(value)
        if value == self._sample_rate:
            return
        if not self.updates_itself:
            raise InputError(
                f"sample_rate={value:g}: this head has Gluon parameters, all in every step; build "
                "it with a sample rate below 1, or updates_itself=True"
            )
        self.class_centers.set_sample_rate(value)
        self._sample_rate = value

    def set_margin(self, margin: Margin) -> None:
        """Go on with another loss, on all ranks alike. The centres and their momentum stay.

        Parameters
        ----------
        margin : Margin
            With as many centres for each class, and with a bias or a learned margin for each class
            if the present one has it.

        Raises
        ------
        InputError
            If it needs other arrays than the head has.
        """
        require_same_rows(self.margin, margin)
        check_filter(self.filter_above, margin)
        margin.refuse_smoothing(self.label_smoothing)
        for option, used in (
            ("wire_dtype='float16'", self.wire_dtype == "float16"),
            ("logit distillation", self.teacher_centers is not None),
        ):
            if used and not (margin.unit_embedding and margin.unit_weight):
                raise InputError(f"{option} needs cosines, which {margin.name} does not have")
        margin.prepare(self.num_classes)
        if margin.uses_bank:
            self._make_bank("bank")
        self.margin = self.class_centers.margin = margin
        self._margin_before = None

    def _agree(self, **options):
        """Raise on every rank if the ranks were not given the same head."""
        if self.comm.size > 1:
            for key in ("num_classes", "embedding_size", "sample_rate", "seed", "filter_above"):
                options[key] = getattr(self, key)
            for key in ("label_smoothing", "wire_dtype", "updates_itself", "mode"):
                options[key] = getattr(self, key)
            agree(self.comm, f"{self.name}.config", {**options, "margin": repr(self.margin)})

    def _check_updates(self, needed, updates_itself, unbiased):
        """Raise InputError for options that do not go with who updates, or with the margin."""
        if needed and updates_itself is False:
            raise InputError(
                "updates_itself=False is not allowed with sample_rate below 1 or centers on host "
                "or disk: no gluon.Trainer can update such centres; leave it out"
            )
        if updates_itself and self.mode == "replicated":
            raise InputError(
                "updates_itself=True is not allowed with mode='replicated', where the gradients of "
                "the centres are summed over the ranks; use mode='sharded'"
            )
        self.margin.refuse_smoothing(self.label_smoothing)
        if self.binary and unbiased:
            raise InputError(
                f"unbiased=True is of a softmax; {self.margin.name} takes "
                "negative_weight='inclusion' in place of it"
            )

    def _check_replicated(self):
        """Raise InputError for what does not go with all centres on every rank."""
        for option, value, only in (
            ("sample_rate", self.sample_rate, 1.0),
            ("centers", "memory" if not self.updates_itself else "host or disk", "memory"),
            ("wire_dtype", self.wire_dtype, "float32"),
        ):
            if value != only:
                raise InputError(
                    f"mode='replicated' has all centres on every rank and takes {option}={only!r}, "
                    f"not {value!r}; use mode='sharded'"
                )

    def _allreduce(self, array, name):
        """Return the sum of an array over all ranks. A collective."""
        return self.comm.allreduce(array, op="sum", name=f"{self.name}.{name}")

    def collect_params(self, select: str | None = None) -> Any:
        """Return the parameters as a `ParameterDict`, as of a Gluon block."""
        if select is None:
            return self.params
        found = mx.gluon.ParameterDict(self.params.prefix)
        found.update({k: v for k, v in self.params.items() if re.match(select, k)})
        return found

    def __call__(self, embedding: Any, label: Any, index: Any = None) -> Any:
        """Return the losses of this rank's samples.

        Parameters
        ----------
        embedding : NDArray (B, D)
            Not normalised; any float dtype. Gradients flow to it under `autograd.record`.
        label : NumPy array or NDArray (B,)
            Class ids in [0, num_classes). Read on the host, so NumPy arrays are best.
        index : array (m,) of int, optional
            For heads that sample: this rank's classes of the step, as class - `start`, instead of
            the sampler's. They must include the classes of the batch.

        Returns
        -------
        NDArray (B,) float32

        Raises
        ------
        InputError
            If a shape does not fit or a label is no class.
        """
        if embedding.ndim != 2 or embedding.shape[1] != self.embedding_size:
            raise InputError(
                f"embeddings have the shape {embedding.shape}, expected "
                f"(batch, {self.embedding_size}); embedding_size must be that of the network"
            )
        labels = host_labels(label, self.num_classes)
        if len(labels) != embedding.shape[0]:
            raise InputError(f"{len(labels)} labels for {embedding.shape[0]} embeddings")
        # What needs the labels only comes first, while the device computes the embeddings.
        labels, counts = gather_labels(self.comm, labels, f"{self.name}.labels")
        training = mx.autograd.is_training()
        with mx.autograd.pause():
            if training and self._margin_before is None:
                self._margin_before = self._margin_state()
            centers = self.class_centers
            selection = centers.select(labels, index, self.sampling_step, training)
            margin_sum = centers.class_margin_sum() if self.margin.has_class_margin else None
        if self.updates_itself:
            self.sampling_step += training
        # Casting and copying are recorded, so gradients come back in the caller's dtype and place.
        embedding = to_float32(embedding.as_in_context(self.ctx))
        step: ShardedSoftmax
        arguments = self._settings(), self.comm, labels, counts
        if self.binary:
            step = ShardedBinary(*arguments, selection)
        elif self.margin.uses_bank:
            step = TwoAnchors(*arguments, selection.shard, self.banks["bank"])
        else:
            step = ShardedSoftmax(*arguments, selection.shard)
        loss, statistics = step(embedding, selection.watched, selection.collect, margin_sum)
        self._figures = functools.partial(step.figures, statistics)
        if self.teacher_centers is not None or "last_embedding" in self.banks:
            gathered = step.gathered if self.margin.unit_embedding else None
            self._last_step = LastStep(selection, labels, counts, loss, loss, gathered)
        factor = self.margin.loss_factor
        return loss if factor == 1.0 else loss * factor

    def _margin_state(self):
        """Return a copy of the margin's state."""
        state = self.margin.state.items()
        return {key: value.copy() if hasattr(value, "copy") else value for key, value in state}

    def _settings(self):
        """Return what the formulas of a step need, as of now."""
        return StepSettings(
            margin=self.margin,
            scale=self.margin.scale,
            strength=self.margin.strength,
            num_classes=self.num_classes,
            label_smoothing=self.label_smoothing,
            filter_above=self.filter_above,
            chunk=self.chunk,
            wire_dtype=self.wire_dtype,
            replicated=self.mode == "replicated",
            ctx=self.ctx,
            name=self.name,
        )

    def stats(self) -> dict[str, float]:
        """Return statistics of the last forward pass, over the samples of all ranks.

        Waits for that forward pass. Without a call a step costs nothing.

        Returns
        -------
        dict of str to float
            ``accuracy``: share of samples whose margined target logit is the largest, or, for
            binary losses, above 0;
            ``target_cosine``: mean cosine to the own class's centre (for ``softmax`` the mean
            score); ``squared_cosine``: the mean of its square; ``max_logit``: the largest logit.
        """
        if self._figures is None:
            raise InputError("stats() is of the last forward pass, and there was none yet")
        return self._figures()

    def set_optimizer(
        self,
        name: str,
        momentum: float = 0.0,
        wd: float = 0.0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
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

        Raises
        ------
        InputError
            If it is called twice, the optimizer is not known or does not go with
            `momentum_mode`, or the head does not update itself; so for the next three as well.
        """
        if name == "adamw":
            options = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon}
        else:
            options = {"momentum": momentum}
        self.class_centers.set_optimizer(name, wd=wd, **options)

    def update(self, lr: float, scale: float = 1.0) -> None:
        """Update the rows of the backward passes since the last update. No collective.

        Parameters
        ----------
        lr : float
            Learning rate.
        scale : float, default 1.0
            The gradients, summed by class over those passes, are multiplied by it.
        """
        self.class_centers.update(float(lr), float(scale))
        self.begin()

    def zero_grad(self) -> None:
        """Drop the gradients that `update` would use."""
        self.class_centers.zero_grad()

    def gradient_square_sum(self) -> Any:
        """Return the sum of squares of the gradients that `update` would use, NDArray (1,).

        Of this rank's classes; not finite if one of them is not. Waits for the backward pass.
        """
        return mx.nd.array([self.class_centers.gradient_square_sum()], ctx=self.ctx)

    def begin(self) -> None:
        """Begin a step: `discard` undoes what follows. `update` does it, too."""
        self._margin_before = None
        for bank in self.banks.values():
            bank.begin()

    def discard(self) -> None:
        """Undo all changes by the forward passes since the last update or `begin`.

        For a step that is skipped: call it on every rank. Gradients of a head that updates itself
        are dropped, and the margin's state and the banks are those before the passes.
        """
        self.class_centers.discard()
        for bank in self.banks.values():
            bank.undo()
        if self._margin_before is not None:
            self.margin.state, self._margin_before = self._margin_before, None

    def __repr__(self):
        return (
            f"PartialFC({self.margin!r}, num_classes={self.num_classes}, "
            f"embedding_size={self.embedding_size}, comm={self.comm!r})"
        )


def require_same_rows(margin: Margin, other: Margin) -> None:
    """Raise InputError unless two margins need the same arrays with a row for each class."""
    for key, what in (
        ("subcenters", "centres for each class"),
        ("has_bias", "a bias for each class"),
        ("has_class_margin", "a learned margin for each class"),
        ("has_shared_bias", "a bias that all classes share"),
        ("family", "a binary loss"),
    ):
        mine, theirs = getattr(margin, key), getattr(other, key)
        if key == "family":
            mine, theirs = mine == "binary", theirs == "binary"
        if mine != theirs:
            raise InputError(
                f"{margin.name} and {other.name} cannot follow each other in a run: {what}: "
                f"{mine} and {theirs}. Start a new run with --init and --init-centers"
            )


def _rate(value):
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0.0 < value <= 1.0:
        raise InputError(f"sample_rate={value!r} is not allowed; it must be in (0, 1]")
    return float(value)


def _whole(name, value, low):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < low:
        raise InputError(f"{name}={value!r} is not allowed; it must be a whole number from {low}")
    return int(value)
