"""The training loop."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .._compat import mx
from ..data.embedding_origin import ModelIdentity
from ..errors import InputError, TrainingError
from .mixing import head_losses
from .progress import Interval, LogRecord, Progress, StepResult, average_figures

if TYPE_CHECKING:
    from ..data import Batch, Loader
    from ..head import PartialFC
    from ..loss.auxiliary import Auxiliaries
    from ..parallel.communicator import Communicator
    from .optimizer_step import OptimizerStep
    from .precision import LossScale
    from .schedules import Piecewise

__all__ = ["EVENTS", "Trainer"]

logger = logging.getLogger(__name__)

EVENTS = (
    "fit_start",
    "epoch_start",
    "result",
    "log",
    "step_end",
    "evaluation",
    "epoch_end",
    "fit_end",
)


class Trainer:
    """Train a backbone with a margin head.

    ::

        fit_start
        for each epoch:
            epoch_start
            for each batch:
                learning rate and margin strength of this step
                forward and backward (for each micro-batch), update
                result      the numbers of a step: of the previous one, or of this one when a
                            log line or a checkpoint needs them now
                log         every `log_every` steps
                step_end    checkpoints and then verification happen here
                            (evaluation, when a verification is done)
            epoch_end
        fit_end             also after `request_stop`, not after an error

    A callback is any object with methods of these names that take the trainer. Callbacks observe;
    they may only `request_stop` or raise. Whatever changes training is an argument here.

    Parameters
    ----------
    net : mx.gluon.HybridBlock
        (N,3,112,112) RGB 0..255 -> (N,D), initialised on every context of `ctx`.
    head : gluonface.head.PartialFC
        On the first context.
    loader : gluonface.data.Loader
        Batches of this process.
    optimizer_step : OptimizerStep
        The optimizers.
    steps : int
        Length of the run.
    lr, strength : callable
        Functions of the step, from 0: learning rate, margin strength 0..1.
    ctx : list of mx.Context
        Devices of this process, over which each batch is split.
    comm : Local or Horovod
    forward : callable, optional
        Replaces `net` in the forward pass, in reduced precision.
    loss_scale : LossScale, optional
        For float16.
    auxiliary : gluonface.loss.auxiliary.Auxiliaries, optional
        Losses beside the head's. The reported loss includes them.
    accumulate : int, default 1
        Micro-batches of a step, each of which is one batch of the loader. Gradients are of the
        mean over all of them.
    teacher : NetworkTeacher or StoredTeacher, optional
        Gives the embeddings that the distillation losses in `auxiliary` compare with.
    factors : dict of str to Piecewise, optional
        Of the weight of each auxiliary loss that has a schedule.
    sample_rate, margin : Piecewise, optional
        The head's sample rate and its margin, if they change during the run.
    max_skips : int, default 0
        How many steps in a row all ranks skip because a gradient of some rank is not finite,
        before training stops. 0 disables the check; a NaN loss is then reported one step later.
    seed : int
        Of dropout and other random operators, together with step and rank.
    log_every : int
        Steps between two `log` events.
    callbacks : iterable of objects
        Called in this order.
    """

    def __init__(
        self,
        net: Any,
        head: PartialFC,
        loader: Loader,
        optimizer_step: OptimizerStep,
        *,
        steps: int,
        lr: Callable[[int], float],
        strength: Callable[[int], float],
        ctx: list,
        comm: Communicator,
        forward: Callable | None = None,
        loss_scale: LossScale | None = None,
        auxiliary: Auxiliaries | None = None,
        accumulate: int = 1,
        teacher: Any = None,
        factors: dict[str, Piecewise] | None = None,
        sample_rate: Piecewise | None = None,
        margin: Piecewise | None = None,
        max_skips: int = 0,
        seed: int = 0,
        log_every: int = 20,
        callbacks: Iterable[Any] = (),
    ):
        self.net, self.head, self.loader, self.optimizer_step = net, head, loader, optimizer_step
        self.steps, self.ctx, self.comm = steps, list(ctx), comm
        self.callbacks = list(callbacks)
        self.progress = Progress()
        self.stop_reason: str | None = None
        self.stop_wish: str | None = None  # why this process wants all to stop, such as a signal
        self.last_result: StepResult | None = None
        self.last_log: LogRecord | None = None
        self.last_evaluation: dict | None = None
        self._lr, self._strength = lr, strength
        self._forward = forward or net
        self._loss_scale = loss_scale
        self.auxiliary = auxiliary
        self.accumulate = accumulate
        self.teacher = teacher
        self.factors = factors or {}
        self._margin, self._rate = margin, sample_rate
        self._max_skips, self._skips = max_skips, 0
        self._seed = seed
        self._log_every = log_every
        self._pending: Any = None  # the last step's arguments of `StepResult` until `collect`
        self._interval = Interval(self.auxiliary_names)
        if not self.steps_per_epoch:
            raise InputError("the data has fewer images than one batch; lower data.batch_size")

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps of one pass over the data."""
        return len(self.loader) // self.accumulate

    @property
    def auxiliary_names(self) -> tuple[str, ...]:
        """Names of the auxiliary losses, in the order of the configuration."""
        return tuple(self.auxiliary.members) if self.auxiliary is not None else ()

    def fit(self) -> None:
        """Run from where `progress` is to the last step, or until a callback asks to stop."""
        self._started, self._first_step = time.monotonic(), self.progress.step
        try:
            self._emit("fit_start")
            while self.progress.step < self.steps and self.stop_reason is None:
                self._run_epoch()
            self.collect()
            self._emit("fit_end")
        finally:
            for callback in self.callbacks:
                if hasattr(callback, "close"):
                    callback.close()

    def request_stop(self, reason: str) -> None:
        """Ask the loop to end after the current step."""
        self.stop_reason = reason

    def step(self, *batches: Batch) -> Any:
        """Forward, backward and update on the batches (images, labels) of one step.

        Returns
        -------
        NDArray (1,)
            Mean loss of this process's batches.
        """
        step = self.progress.step
        lr = self._lr(step)
        self._follow_schedules(step)
        self.head.margin.strength = self._strength(step)
        running = self._running_statistics() if self._checks else ()
        self.optimizer_step.begin()
        self.head.begin()
        if self.auxiliary is not None:
            self.auxiliary.begin(len(batches))
        total = sum(len(batch.labels) for batch in batches) * self.comm.size
        losses, figures = [], []
        for number, batch in enumerate(batches):
            if number:  # of the micro-batch before, while the device computes its backward pass
                figures.append(self._figures())
            at = step * self.accumulate + number
            # The state of MXNet's generators cannot be saved, so each step has its own seed.
            mx.random.seed((self._seed * 1000003 + at * 1009 + self.comm.rank) % (2**31 - 1))
            self.head.sampling_step = at
            losses.append(self._forward_backward(batch, 1.0 / total, 1.0 / len(batches)))
        loss = losses[0] if len(losses) == 1 else sum(losses) / len(losses)
        reported = self._share_loss(loss)
        done = self._update(lr)
        if not done:  # undo what the forward passes changed
            self.head.discard()
            if self.auxiliary is not None:
                self.auxiliary.undo()
            for array, value in running:
                value.copyto(array)
        self._pending = (step + 1, lr, reported, not done, figures)
        return loss

    @property
    def _schedules(self):
        """All values that may wait for a score, by their names in a checkpoint."""
        found = {"head.sample_rate": self._rate, "loss": self._margin}
        found.update({f"loss.auxiliary.{name}": each for name, each in self.factors.items()})
        return {name: each for name, each in found.items() if each is not None}

    def _follow_schedules(self, step):
        """Set what changes at given steps to the values of a step."""
        head = self.head
        if self._margin is not None and self._margin(step) is not head.margin:
            head.set_margin(self._margin(step))
            logger.info("the loss is %s from step %d on", head.margin, step + 1)
        if self._rate is not None and self._rate(step) != head.sample_rate:
            head.sample_rate = self._rate(step)
            logger.info("the sample rate is %g from step %d on", head.sample_rate, step + 1)
        if self.auxiliary is not None:
            self.auxiliary.factors = {name: each(step) for name, each in self.factors.items()}

    def _forward_backward(self, batch, share, weight):
        """Forward and backward on a batch; return its mean loss.

        `share` is the weight of an image in the mean over all images of the step, `weight` that of
        the batch in the mean over this process's batches.
        """
        shares = [
            mx.nd.array(images, ctx=context, dtype="uint8").astype("float32")
            for images, context in zip(np.array_split(batch.images, len(self.ctx)), self.ctx)
        ]
        teacher = None
        if self.auxiliary is not None and self.auxiliary.use_teacher:
            teacher = mx.nd.array(self.teacher(batch), ctx=self.ctx[0])
        with mx.autograd.record():
            embeddings = [
                self._forward(images).astype("float32").as_in_context(self.ctx[0])
                for images in shares
            ]
            joined = mx.nd.concat(*embeddings, dim=0) if len(embeddings) > 1 else embeddings[0]
            losses, extra = head_losses(self.head, joined, batch), None
            if self.auxiliary is not None:
                losses, extra = self.auxiliary(
                    losses,
                    joined,
                    batch.labels,
                    teacher,
                    lambda temperature: self.head.distill(joined, teacher, temperature),
                    lambda loss, compute: self.head.compare_with_last(joined, loss, compute),
                )
            objective = losses.sum() * share
            if extra is not None:  # a mean over the batch of all processes already
                objective = objective + (extra * weight if weight != 1.0 else extra)
            if self._loss_scale is not None:
                objective = objective * self._loss_scale.value
        # Queued before the backward pass, so reading it waits for the forward pass alone.
        loss = losses.mean() if extra is None else losses.mean() + extra
        objective.backward()
        return loss

    def _share_loss(self, loss):
        """Return the mean loss of all ranks and, with several, flags.

        These are one for each rank, 1 if its loss is not finite, and how many wish to stop.
        """
        comm = self.comm
        if comm.size == 1:
            return loss
        loss = loss.detach().reshape((1,))
        bad = 1.0 - mx.nd.contrib.isfinite(loss)
        mine = mx.nd.one_hot(mx.nd.array([comm.rank], ctx=loss.context), comm.size) * bad
        stop = mx.nd.array([float(self.stop_wish is not None)], ctx=loss.context)
        packed = mx.nd.concat(loss / comm.size, mine.reshape((-1,)), stop, dim=0)
        return comm.allreduce(packed, op="sum", name="training.loss")

    @property
    def _checks(self):
        return self._loss_scale is not None or self._max_skips > 0

    def _running_statistics(self):
        """Return (array, copy) of BatchNorm's running statistics on all devices."""
        return [
            (array, array.copy())
            for name, parameter in self.net._collect_params_with_prefix().items()
            if name.endswith(("running_mean", "running_var"))
            for array in parameter.list_data()
        ]

    def collect(self) -> None:
        """Read the figures of the last step unless it was done. Waits for its forward pass."""
        if self._pending is None:
            return
        (step, lr, loss, skipped, figures), self._pending = self._pending, None
        with self.comm.waiting(f"for the numbers of step {step}"):
            stats, extra = average_figures([*figures, self._figures()])
            loss, *flags = (float(value) for value in loss.asnumpy().reshape(-1))
        if flags and flags.pop():  # the same step on all ranks
            self.request_stop(self.stop_wish or "a signal to another process")
        bad = tuple(rank for rank, flag in enumerate(flags) if flag)
        self.last_result = StepResult(step, lr, loss, stats, extra, skipped, bad)
        if not skipped:  # else its figures may be NaN; they are left out of the means
            self._interval.add(self.last_result)
            for schedule in self._schedules.values():
                if schedule.needs_score:
                    schedule.observe(step - 1, stats["squared_cosine"])
        self._emit("result")

    def _figures(self):
        """Return the figures of head and auxiliary losses for the last batch. Waits for them."""
        return self.head.stats(), {} if self.auxiliary is None else self.auxiliary.values()

    def evaluated(self, accuracy: float, packs: dict) -> None:
        """Store the result of a verification and tell the callbacks.

        Parameters
        ----------
        accuracy : float
            Mean over the packs; the best one is remembered.
        packs : dict of str to dict
            Results by pack name.
        """
        self.set_evaluation(accuracy, packs)
        self._emit("evaluation")

    def set_evaluation(self, accuracy: float, packs: dict) -> None:
        """Store the result of a verification of this state; arguments as of `evaluated`."""
        progress = self.progress
        if progress.best is None or accuracy > progress.best:
            progress.best, progress.best_step = accuracy, progress.step
        self.last_evaluation = {"step": progress.step, "accuracy": accuracy, "packs": packs}

    def require_finite_weights(self) -> None:
        """Raise TrainingError if a weight is NaN or infinite."""
        arrays = [p.data(p.list_ctx()[0]) for p in self.optimizer_step.parameters()]
        by_context: dict[Any, list] = {}
        for array in arrays:
            by_context.setdefault(array.context, []).append(array)
        # MXNet's kernel has room for 200 arrays and does not check that it gets no more.
        groups = [g[i : i + 100] for g in by_context.values() for i in range(0, len(g), 100)]
        for group in groups:
            if not mx.nd.multi_all_finite(*group, num_arrays=len(group)).asscalar():
                last = self.last_result
                raise TrainingError(
                    f"weights are not finite after step {self.progress.step}"
                    + (
                        f" (learning rate {last.lr:g}, largest logit {last.stats['max_logit']:g})"
                        if last
                        else " (of the initial weights)"
                    )
                    + ". Lower optimizer.lr, lengthen schedule.warmup_steps or set "
                    "optimizer.clip_norm. The last checkpoint is untouched."
                )

    def state_dict(self) -> dict:
        """Return what a checkpoint keeps beside arrays, for JSON."""
        self.collect()
        return {
            "progress": dataclasses.asdict(self.progress),
            "sums": dict(self._interval.sums),
            "loss_scale": self._loss_scale and self._loss_scale.state_dict(),
            "reached": {n: each.reached for n, each in self._schedules.items() if each.reached},
            "teacher": None if self.teacher is None else self.teacher.model.to_dict(),
        }

    def resume_at(self, state: dict) -> None:
        """Take the margin and the sample rate of the step that a `state_dict` was made after."""
        for name, schedule in self._schedules.items():
            schedule.reached = [int(step) for step in state.get("reached", {}).get(name, ())]
        self._follow_schedules(max(0, int(state["progress"]["step"]) - 1))

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self._check_teacher(state.get("teacher"))
        self.progress = Progress(**state["progress"])
        self._interval.sums.update(state["sums"])
        if self._loss_scale is not None and state["loss_scale"]:
            self._loss_scale.load_state_dict(state["loss_scale"])

    def _check_teacher(self, stored):
        """Raise TrainingError if the run had another teacher."""
        if stored is None or self.teacher is None:
            return
        before = ModelIdentity(stored["name"], stored["sha256"])
        if not before.is_same(self.teacher.model):
            raise TrainingError(
                f"the run learned from {before}, and the teacher now is {self.teacher.model}; "
                "resume with the teacher of the run"
            )

    def _run_epoch(self):
        progress = self.progress
        self._emit("epoch_start")
        batches = iter(self.loader.epoch(progress.epoch, start=progress.batch * self.accumulate))
        try:
            while progress.step < self.steps and self.stop_reason is None:
                begin = time.monotonic()
                micro_batches = tuple(itertools.islice(batches, self.accumulate))
                waited = time.monotonic() - begin
                if len(micro_batches) < self.accumulate:
                    progress.epoch, progress.batch = progress.epoch + 1, 0
                    break
                images = sum(len(each.labels) for each in micro_batches) * self.comm.size
                self.collect()  # of the previous step, while the device computes its update
                self.step(*micro_batches)
                progress.step += 1
                progress.batch += 1
                progress.images += images
                due = progress.step % self._log_every == 0 or progress.step == self.steps
                if due:
                    self.collect()
                self._interval.tick(time.monotonic() - begin, waited, images)
                if due:
                    self._log()
                self._emit("step_end")
        finally:
            if hasattr(batches, "close"):
                batches.close()
        self._emit("epoch_end")

    def _update(self, lr):
        """Update the weights; return False if the step is skipped, as a gradient overflowed."""
        scale = 1.0 if self._loss_scale is None else 1.0 / self._loss_scale.value
        done = self.optimizer_step.apply(lr, scale, check=self._checks)
        if self._loss_scale is not None:
            self._loss_scale.update(overflow=not done)
        if done:
            self._skips = 0
            return True
        if self._loss_scale is not None and self._loss_scale.value > 1.0:
            return False  # a smaller scale may be enough
        self._skips += 1
        if self._skips > self._max_skips:
            raise TrainingError(
                f"the gradient is not finite at step {self.progress.step + 1}, and "
                f"optimizer.max_skips = {self._max_skips} such steps in a row were left out "
                f"(learning rate {lr:g}). Lower optimizer.lr or lengthen schedule.warmup_steps. "
                "The last checkpoint is untouched."
            )
        logger.warning(
            "step %d is left out on all ranks: its gradient is not finite (%d of at most %d in "
            "a row)",
            self.progress.step + 1,
            self._skips,
            self._max_skips,
        )
        return False

    def _log(self):
        progress = self.progress
        done = progress.step - self._first_step
        elapsed = time.monotonic() - self._started
        self.last_log = self._interval.record(
            self.comm,
            self.ctx[0],
            step=progress.step,
            epoch=progress.epoch,
            lr=self.last_result.lr,
            strength=self._strength(progress.step - 1),
            eta=elapsed / done * (self.steps - progress.step),
        )
        self._emit("log")

    def _emit(self, event):
        for callback in self.callbacks:
            handler = getattr(callback, event, None)
            if handler is not None:
                handler(self)
