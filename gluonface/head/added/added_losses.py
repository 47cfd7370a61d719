"""Losses that a head adds to its own, after a call: with its classes and gathered embeddings."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..._compat import mx
from ...errors import InputError
from ...loss._block import to_float32
from ..bank.embedding_bank import DTYPES, EmbeddingBank
from ..bank.sample_pairs import SamplePairs
from ..class_centers import ClassCenters
from .distillation import DistilledSoftmax, TeacherCenters

__all__ = ["AddedLosses", "LastStep"]


@dataclasses.dataclass
class LastStep:
    """What `distill` and `compare_with_last` need of the last call of a head."""

    selection: Any
    labels: Any
    counts: Any
    loss: Any  # of the call
    after: Any  # the losses whose backward pass comes next
    gathered: Any  # Saved, with unit embeddings, or None
    distilled: bool = False
    compared: bool = False


class AddedLosses:
    """The methods of `PartialFC` that compute further losses of the samples of its last call."""

    # Set by PartialFC.
    margin: Any
    binary: bool
    comm: Any
    ctx: Any
    name: str
    num_classes: int
    embedding_size: int
    start: int
    stop: int
    class_centers: ClassCenters
    banks: dict[str, EmbeddingBank]
    teacher_centers: TeacherCenters | None
    _last_step: LastStep | None
    _weighs: bool
    _settings: Any
    _make_bank: Any

    def set_teacher(self, centers: Any) -> None:
        """Give the class centres of a teacher network, for `distill`. They do not change.

        Parameters
        ----------
        centers : array-like (num_classes, D_t)
            In the order of this head's classes. Each rank reads its own rows, so a memory-mapped
            file does.

        Raises
        ------
        InputError
            If their number differs, one is not finite, or the head's scores are no cosines of one
            centre for each class.
        """
        margin = self.margin
        if not (margin.unit_embedding and margin.unit_weight) or margin.subcenters > 1:
            raise InputError(
                f"logit distillation compares cosines to one centre for each class; {margin.name} "
                "has others. Use another loss, or another way of distillation"
            )
        if self.binary:
            raise InputError(
                f"logit distillation compares softmaxes, and {margin.name} has none. Use another "
                "loss, or another way of distillation"
            )
        if centers.ndim != 2 or centers.shape[0] != self.num_classes:
            raise InputError(
                f"the teacher's centres have the shape {tuple(centers.shape)}, expected "
                f"({self.num_classes}, D): one for each class of this head, in the same order"
            )
        self.teacher_centers = TeacherCenters(centers, self.start, self.stop, self.ctx)

    def distill(self, embedding: Any, teacher: Any, temperature: float = 4.0) -> Any:
        """Return the logit distillation losses of this rank's samples (`kd_logits`).

        Call it after ``head(embedding, label)`` on the same samples and before the backward pass.
        The classes are those of that call: with sampling both softmaxes are over the sampled ones.

        Parameters
        ----------
        embedding : NDArray (B, D)
            As the head had them.
        teacher : NDArray (B, D_t)
            The teacher's embeddings of the same images. They get no gradient.
        temperature : float, default 4.0

        Returns
        -------
        NDArray (B,) float32
            A loss for each sample.

        Raises
        ------
        InputError
            If there is no teacher or no call before, or a shape does not fit.
        """
        last = self._last_step
        if self.teacher_centers is None or last is None or last.distilled:
            raise InputError("distill comes after set_teacher and a call of the head")
        size, batch = self.teacher_centers.size, embedding.shape[0]
        if teacher.shape != (batch, size) or len(last.loss) % batch:
            raise InputError(
                f"embeddings {embedding.shape} and the teacher's {teacher.shape} after a call with "
                f"{len(last.loss)} samples; expected (B, {self.embedding_size}) and (B, {size}) of "
                "these samples"
            )
        # A head that was given each embedding twice, with two labels, has twice the samples.
        times = len(last.loss) // batch
        labels, selection = last.labels[: len(last.labels) // times], last.selection
        counts = [each // times for each in last.counts]
        embedding = to_float32(embedding.as_in_context(self.ctx))
        with mx.autograd.pause():
            teacher = teacher.as_in_context(self.ctx).astype("float32", copy=False).detach()
            shard, centers = selection.shard, None
            if shard is not None:
                centers = self.teacher_centers.take(shard.index)
        step = DistilledSoftmax(
            self._settings(), self.comm, labels, counts, shard, teacher, centers, temperature
        )
        collect = self.class_centers.collect_again(selection)
        loss = step(embedding, selection.watched, collect, after=last.after)[0]
        last.after, last.distilled = loss, True
        self._end_step(last)
        return loss

    def _end_step(self, last):
        """Forget the last call, with its arrays, if nothing may follow it any more."""
        distilled = last.distilled or self.teacher_centers is None
        if distilled and (last.compared or "last_embedding" not in self.banks):
            self._last_step = None

    def remember(self, dtype: str = "float32") -> None:
        """Keep the last embedding of each class from now on, for `compare_with_last`.

        Parameters
        ----------
        dtype : {"float32", "float16"}
            In which they are stored.

        Raises
        ------
        InputError
            If it is neither, or they are kept in the other one already.
        """
        if dtype not in DTYPES:
            raise InputError(f"dtype={dtype!r} is not known; expected {', '.join(DTYPES)}")
        self._make_bank("last_embedding", dtype)
        kept = self.banks["last_embedding"].dtype
        if kept != dtype:
            raise InputError(
                f"dtype={dtype!r}: the head keeps its last embeddings in {kept} already"
            )

    def compare_with_last(self, embedding: Any, loss: Any, compute: bool = True) -> Any:
        """Return the losses of this rank's samples against the last embedding of each class.

        Call it after ``head(embedding, label)`` on the same samples and before the backward pass.
        The classes are those of that call. In training mode the embeddings are kept afterwards.

        Parameters
        ----------
        embedding : NDArray (B, D)
            As the head had them.
        loss : gluonface.loss.auxiliary.uss.USS
            Its bias gets its gradient, complete and the same on all ranks.
        compute : bool, default True
            False: only keep the embeddings.

        Returns
        -------
        NDArray (B,) float32, or None without `compute`

        Raises
        ------
        InputError
            If `remember` or a call of the head is missing before.
        """
        last = self._last_step
        if "last_embedding" not in self.banks or last is None or last.compared:
            raise InputError("compare_with_last comes after remember and a call of the head")
        if len(last.loss) != len(embedding):
            raise InputError(
                f"{len(embedding)} embeddings after a call with {len(last.loss)}; expected the same"
            )
        settings = self._settings()
        settings = dataclasses.replace(
            settings, margin=loss.margin_of_terms(), scale=loss.scale, name=f"{self.name}.uss"
        )
        embedding = to_float32(embedding.as_in_context(self.ctx))
        training = mx.autograd.is_training()
        with mx.autograd.pause(train_mode=training):
            step = SamplePairs(
                settings,
                self.comm,
                last.labels,
                last.counts,
                last.selection.shard,
                self.banks["last_embedding"],
                loss,
                self._weighs,
                last.gathered,
            )
        last.compared = True
        losses = None
        if compute:
            losses = step(embedding, step.watched, step.collect, after=last.after)[0]
            last.after = losses
        else:
            step.remember(embedding)
        self._end_step(last)
        return losses
