"""The training loop and nothing else."""

import dataclasses
import itertools
import logging
import time

import numpy as np

from .._compat import mx
from ..errors import InputError, TrainingError
from .mixing import head_losses
from .progress import Interval, Progress, StepResult, join_parts

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
                forward and backward (for each part of the batch), update
                result      the numbers of a step: of the previous one, or of this one when a
                            log line or a checkpoint needs them now
                log         every `log_every` steps
                step_end    verification and checkpoints happen here
                            (evaluation, when a verification is done)
            epoch_end
        fit_end             also after `request_stop`, not after an error

    A callback is any object with methods of these names that take the trainer. Callbacks observe;
    all they may do is `request_stop` or raise. What changes training is an argument here.

    Parameters
    ----------
    net : mx.gluon.HybridBlock
        (N,3,112,112) RGB 0..255 -> (N,D), initialised on every context of `ctx`.
    head : gluonface.head.PartialFC
        On the first context.
    loader : gluonface.data.Loader
        Batches of this process.
    updates : Updates
        The optimizers.
    steps : int
        Length of the run.
    lr, strength : callable
        Functions of the step, from 0: learning rate, margin strength 0..1.
    ctx : list of mx.Context
        Devices of this process; each takes its part of the batch.
    comm : object
        Communicator: rank and size of this process.
    forward : callable, optional
        In place of `net`, when it is to be computed in reduced precision.
    loss_scale : LossScale, optional
        For float16.
    auxiliary : gluonface.loss.auxiliary.Auxiliaries, optional
        Losses beside the head's. The reported loss includes them.
    accumulate : int
        Parts of a step's batch, each of which is one batch of the loader. Gradients are of the
        mean over all of them.
    max_skips : int
        Steps in a row with a gradient that is not finite, on any rank, that are left out by all
        ranks before training stops. With 0 nobody looks, and the loss tells a step later.
    seed : int
        Of dropout and the like, together with step and rank.
    log_every : int
        Steps between two `log` events.
    callbacks : iterable of objects
        Called in this order.
    """

    def __init__(
        self,
        net,
        head,
        loader,
        updates,
        *,
        steps,
        lr,
        strength,
        ctx,
        comm,
        forward=None,
        loss_scale=None,
        auxiliary=None,
        accumulate=1,
        max_skips=0,
        seed=0,
        log_every=20,
        callbacks=(),
    ):
        self.net, self.head, self.loader, self.updates = net, head, loader, updates
        self.steps, self.ctx, self.comm = steps, list(ctx), comm
        self.callbacks = list(callbacks)
        self.progress = Progress()
        self.stop_reason = None
        self.last_result = self.last_log = self.last_evaluation = None
        self._lr, self._strength = lr, strength
        self._forward = forward or net
        self._loss_scale = loss_scale
        self.auxiliary = auxiliary
        self.accumulate = accumulate
        self._max_skips, self._skips = max_skips, 0
        self._seed = seed
        self._log_every = log_every
        self._pending = None  # what is known of a step whose numbers were not read yet
        self._interval = Interval(self.auxiliary_names)
        if not self.steps_per_epoch:
            raise InputError("the data has fewer images than one batch; lower data.batch_size")

    @property
    def steps_per_epoch(self):
        """How many steps one pass over the data is."""
        return len(self.loader) // self.accumulate

    @property
    def auxiliary_names(self):
        """Names of the auxiliary losses, in the order of the configuration."""
        return tuple(self.auxiliary.members) if self.auxiliary is not None else ()

    def fit(self):
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

    def request_stop(self, reason):
        """Ask the loop to end after the current step."""
        self.stop_reason = reason

    def step(self, *batches):
        """Forward, backward and update on the batches (images, labels) of one step.

        Returns
        -------
        NDArray (1,)
            Mean loss of this process's batches.
        """
        step = self.progress.step
        lr = self._lr(step)
        self.head.margin.strength = self._strength(step)
        learnt = dict(self.head.margin.state)  # of earlier batches; the forward pass goes on
        running = self._running_statistics() if self._checks else ()
        self.updates.begin()
        if self.auxiliary is not None:
            self.auxiliary.begin(len(batches))
        total = sum(len(batch.labels) for batch in batches) * self.comm.size
        losses, numbers = [], []
        for number, batch in enumerate(batches):
            if number:  # of the part before, whose backward pass still keeps the device busy
                numbers.append(self._numbers())
            at = step * self.accumulate + number
            # Dropout's state cannot be saved, so each step's begins from its own seed.
            mx.random.seed((self._seed * 1000003 + at * 1009 + self.comm.rank) % (2**31 - 1))
            self.head.sampling_step = at
            losses.append(self._part(batch, 1.0 / total, 1.0 / len(batches)))
        loss = losses[0] if len(losses) == 1 else sum(losses) / len(losses)
        reported = self._share_loss(loss)
        done = self._update(lr)
        if not done:  # the losses forget the batch as well
            if self.head.updates_itself:
                self.head.discard()
            self.head.margin.state = learnt
            if self.auxiliary is not None:
                self.auxiliary.undo()
            for array, value in running:
                value.copyto(array)
        self._pending = (step + 1, lr, reported, not done, numbers)
        return loss

    def _part(self, batch, share, weight):
        """Forward and backward on a batch; return its mean loss.

        `share` is that of an image in the mean over all images of the step, `weight` that of the
        batch among those of this process.
        """
        parts = [
            mx.nd.array(part, ctx=context, dtype="uint8").astype("float32")
            for part, context in zip(np.array_split(batch.images, len(self.ctx)), self.ctx)
        ]
        with mx.autograd.record():
            embeddings = [
                self._forward(part).astype("float32").as_in_context(self.ctx[0]) for part in parts
            ]
            joined = mx.nd.concat(*embeddings, dim=0) if len(embeddings) > 1 else embeddings[0]
            losses, extra = head_losses(self.head, joined, batch), None
            if self.auxiliary is not None:
                losses, extra = self.auxiliary(losses, joined, batch.labels)
            objective = losses.sum() * share
            if extra is not None:  # of the batch of all processes already
                objective = objective + (extra * weight if weight != 1.0 else extra)
            if self._loss_scale is not None:
                objective = objective * self._loss_scale.value
        # Queued before the backward pass: whoever reads it waits for the forward pass alone.
        loss = losses.mean() if extra is None else losses.mean() + extra
        objective.backward()
        return loss

    def _share_loss(self, loss):
        """Return the mean loss of all ranks, and with several, after it, 1 for each bad one."""
        comm = self.comm
        if comm.size == 1:
            return loss
        loss = loss.detach().reshape((1,))
        bad = 1.0 - mx.nd.contrib.isfinite(loss)
        mine = mx.nd.one_hot(mx.nd.array([comm.rank], ctx=loss.context), comm.size) * bad
        packed = mx.nd.concat(loss / comm.size, mine.reshape((-1,)), dim=0)
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

    def collect(self):
        """Read the numbers of the last step if nobody did yet. Waits for its forward pass."""
        if self._pending is None:
            return
        (step, lr, loss, skipped, numbers), self._pending = self._pending, None
        with self.comm.waiting(f"for the numbers of step {step}"):
            stats, extra = join_parts([*numbers, self._numbers()])
            loss, *bad = (float(value) for value in loss.asnumpy().reshape(-1))
        bad = tuple(rank for rank, flag in enumerate(bad) if flag)
        self.last_result = StepResult(step, lr, loss, stats, extra, skipped, bad)
        if not skipped:  # else its numbers may be no numbers; it has no part in the means
            self._interval.add(self.last_result)
        self._emit("result")

    def _numbers(self):
        """Return the figures of head and auxiliary losses for the last batch. Waits for them."""
        return self.head.stats(), {} if self.auxiliary is None else self.auxiliary.values()

    def evaluated(self, accuracy, packs):
        """Tell everyone that a verification is done.

        Parameters
        ----------
        accuracy : float
            Mean over the packs; the best one is remembered.
        packs : dict of str to dict
            Results by pack name.
        """
        progress = self.progress
        if progress.best is None or accuracy > progress.best:
            progress.best, progress.best_step = accuracy, progress.step
        self.last_evaluation = {"step": progress.step, "accuracy": accuracy, "packs": packs}
        self._emit("evaluation")

    def require_finite_weights(self):
        """Raise TrainingError if a weight is NaN or infinite."""
        arrays = [p.data(p.list_ctx()[0]) for p in self.updates.parameters()]
        by_context = {}
        for array in arrays:
            by_context.setdefault(array.context, []).append(array)
        # MXNet's kernel has room for 200 arrays and does not look whether it gets more.
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

    def state_dict(self):
        """Return what a checkpoint keeps beside arrays, as JSON can hold it."""
        self.collect()
        return {
            "progress": dataclasses.asdict(self.progress),
            "sums": dict(self._interval.sums),
            "loss_scale": self._loss_scale and self._loss_scale.state_dict(),
        }

    def load_state_dict(self, state):
        """Take back what `state_dict` gave."""
        self.progress = Progress(**state["progress"])
        self._interval.sums.update(state["sums"])
        if self._loss_scale is not None and state["loss_scale"]:
            self._loss_scale.load_state_dict(state["loss_scale"])

    def _run_epoch(self):
        progress = self.progress
        self._emit("epoch_start")
        batches = iter(self.loader.epoch(progress.epoch, start=progress.batch * self.accumulate))
        try:
            while progress.step < self.steps and self.stop_reason is None:
                begin = time.monotonic()
                parts = tuple(itertools.islice(batches, self.accumulate))
                waited = time.monotonic() - begin
                if len(parts) < self.accumulate:
                    progress.epoch, progress.batch = progress.epoch + 1, 0
                    break
                images = sum(len(part.labels) for part in parts) * self.comm.size
                self.collect()  # of the previous step: its update still keeps the device busy
                self.step(*parts)
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
        done = self.updates.apply(lr, scale, check=self._checks)
        if self._loss_scale is not None:
            self._loss_scale.update(overflow=not done)
        if done:
            self._skips = 0
            return True
        if self._loss_scale is not None and self._loss_scale.value > 1.0:
            return False  # a smaller scale may do
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
