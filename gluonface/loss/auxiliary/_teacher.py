"""The template of losses that compare a student's embeddings with those of a teacher network."""

from __future__ import annotations

import typing

import numpy as np

from ... import _compat
from ...errors import InputError
from ._embedding import LearnedLoss

__all__ = ["TeacherLoss", "exact_gradient"]


def exact_gradient(x, value, gradient):
    """Return `value` (1,) as a function of `x` whose gradient is `gradient`, like `x`.

    For losses whose intermediate arrays would not fit into memory if autograd kept them.
    """
    step = x - x.detach()  # zeros, through which the gradient flows
    return value + (step * gradient).sum().reshape((1,))


class TeacherLoss(LearnedLoss):
    """Template: a loss of the student's and the teacher's embeddings of one batch.

    Called with this process's embeddings (B, D), the teacher's (B, D_t) and the labels (B,), it
    gives the losses of the batch of all processes, as `EmbeddingLoss` does. The teacher gets no
    gradient.

    A subclass overrides `compare`. With `same_size` a student of another size than the teacher's is
    multiplied by a learned matrix (D_t, D) first, which is kept in checkpoints and not exported.
    """

    kind = "teacher"
    inputs_doc = (
        "embedding : NDArray (B, D)\n    The student's.\n"
        "teacher : NumPy array or NDArray (B, D_t)\n"
        "label : NumPy array or NDArray (B,)"
    )
    family = "distillation"
    same_size = False  # whether both embeddings must have equally many numbers
    uses_labels = False
    teacher_size: typing.Any = None

    def initialize(self, num_classes=None, embedding_size=None, *rest, teacher_size=None, **more):
        """As `EmbeddingLoss.initialize`; `teacher_size` is D_t."""
        if teacher_size is not None and (
            not isinstance(teacher_size, (int, np.integer)) or teacher_size < 1
        ):
            raise InputError(f"{self.name}: teacher_size={teacher_size!r} must be at least 1")
        self.teacher_size = teacher_size
        return super().initialize(num_classes, embedding_size, *rest, **more)

    def _create(self, rng):
        student, teacher = self.embedding_size, self.teacher_size
        if self.same_size and None not in (student, teacher) and student != teacher:
            self._parameter("projection", rng.normal(0.0, student**-0.5, (teacher, student)))

    def __call__(self, embedding, teacher, label=None):
        """Return the losses of the batch of all processes; see the class.

        Raises
        ------
        InputError
            If a shape does not fit.
        """
        from ._embedding import gather_batch

        label = np.zeros(embedding.shape[0], np.int64) if label is None else label
        embedding, labels = self.checked(embedding, label)
        name = f"auxiliary.{self.name}"
        teacher = self.checked_teacher(teacher, len(labels))
        whole, labels, _ = gather_batch(self.comm, embedding, labels, name)
        return self.losses(whole, self.gathered(self.comm, teacher, name), labels)

    def checked_teacher(self, teacher, count):
        """Return the teacher's embeddings as (B, D_t) float32 without gradient."""
        nd = _compat.mx.nd
        if not isinstance(teacher, nd.NDArray):
            teacher = nd.array(np.asarray(teacher, np.float32), ctx=self.ctx)
        size = self.teacher_size or teacher.shape[-1]
        if teacher.ndim != 2 or teacher.shape != (count, size):
            raise InputError(
                f"{self.name}: the teacher's embeddings have the shape {teacher.shape}, expected "
                f"({count}, {size}): a row for each of the student's"
            )
        return teacher.detach().astype("float32", copy=False)

    @staticmethod
    def gathered(comm, teacher, name):
        """Return the teacher's embeddings (N, D_t) of all processes, in rank order."""
        if comm is None or comm.size == 1:
            return teacher
        with _compat.mx.autograd.pause():
            return comm.allgather(teacher, name=f"{name}.teacher")

    def losses(self, x, teacher, labels):
        """Return the losses of the whole batch: of a sample (N,), or of all together (1,).

        Parameters
        ----------
        x : NDArray (N, D) float32
        teacher : NDArray (N, D_t) float32
        labels : numpy.ndarray (N,) int64
        """
        if "projection" in self.collect_params():
            x = _compat.mx.nd.dot(x, self.value("projection"), transpose_b=True)
        elif self.same_size and x.shape[1] != teacher.shape[1]:
            raise InputError(
                f"{self.name}: the student's embeddings have {x.shape[1]} numbers, the teacher's "
                f"{teacher.shape[1]}; give initialize() embedding_size and teacher_size"
            )
        return self.compare(x, teacher, labels)

    def compare(self, x, teacher, labels):
        """Return the losses of embeddings whose sizes fit; arguments as of `losses`."""
        return self.formula(_compat.mx.nd, x, teacher)
