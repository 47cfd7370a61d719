"""The training loop and nothing else."""

import dataclasses
import logging
import time
from typing import Optional

import numpy as np

from .._compat import mx
from ..errors import InputError, TrainingError

__all__ = ["EVENTS", "LogRecord", "Progress", "StepResult", "Trainer"]

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


@dataclasses.dataclass
class Progress:
    """Where the run is. Kept in every checkpoint.

    Attributes
    ----------
    step : int
        Updates done.
    epoch, batch : int
        The batch that comes next.
    images : int
        Images seen, all processes together.
    best : float or None
        Best mean verification accuracy so far, and the step it was at.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    images: int = 0
    best: Optional[float] = None
    best_step: Optional[int] = None


@dataclasses.dataclass
class StepResult:
    """The numbers of one step, which arrive up to one step after its update was queued.

    Attributes
    ----------
    step : int
        The step's number, from 1.
    lr : float
        Its learning rate.
    loss : float
        Mean over the batch of this process.
    stats : dict of str to float
        From the head: accuracy, target_cosine, max_logit.
    auxiliary : dict of str to float
        Value of each auxiliary loss, without its weight.
    """

    step: int
    lr: float
    loss: float
    stats: dict
    auxiliary: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class LogRecord:
    """Means over the steps since the last record.

    Attributes
    ----------
    step, epoch : int
    loss, accuracy, target_cosine : float
        Accuracy: the share of images whose own class has the largest logit, margin included.
    lr, strength : float
        Learning rate and margin strength of the last step.
    images_per_second : float
        All processes together, verification and checkpoints not counted.
    data_wait : float
        Share of that time spent waiting for data, 0..1.
    eta : float
        Seconds to the end of the run.
    auxiliary : dict of str to float
        Value of each auxiliary loss, without its weight.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    target_cosine: float
    lr: float
    strength: float
    images_per_second: float
    data_wait: float
    eta: float
    auxiliary: dict = dataclasses.field(default_factory=dict)


class Trainer:
    """Train a backbone with a margin head.

    ::

        fit_start
        for each epoch:
            epoch_start
            for each batch:
                learning rate and margin strength of this step
                forward, backward, update
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
    head : gluonface.parallel.PartialFC
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
        self._seed = seed
        self._log_every = log_every
        self._pending = None  # (step, lr, loss) of a step whose numbers were not read yet
        self._sums = {"count": 0, "loss": 0.0, "accuracy": 0.0, "target_cosine": 0.0}
        self._sums.update({f"auxiliary/{name}": 0.0 for name in self.auxiliary_names})
        self._clock = {"busy": 0.0, "wait": 0.0, "images": 0}
        if not len(loader):
            raise InputError("the data has fewer images than one batch; lower data.batch_size")

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

    def step(self, batch):
        """Forward, backward and update on one batch (images, labels); return the mean loss."""
        step = self.progress.step
        lr = self._lr(step)
        self.head.margin.strength = self._strength(step)
        # Dropout's state cannot be saved, so each step's begins from its own seed.
        mx.random.seed((self._seed * 1000003 + step * 1009 + self.comm.rank) % (2**31 - 1))
        share = 1.0 / (len(batch.labels) * self.comm.size)  # of a mean over all processes
        learnt = dict(self.head.margin.state)  # of earlier batches; the forward pass goes on
        parts = [
            mx.nd.array(part, ctx=context, dtype="uint8").astype("float32")
            for part, context in zip(np.array_split(batch.images, len(self.ctx)), self.ctx)
        ]
        with mx.autograd.record():
            embeddings = [
                self._forward(part).astype("float32").as_in_context(self.ctx[0]) for part in parts
            ]
            joined = mx.nd.concat(*embeddings, dim=0) if len(embeddings) > 1 else embeddings[0]
            losses, extra = self.head(joined, batch.labels), None
            if self.auxiliary is not None:
                losses, extra = self.auxiliary(losses, joined, batch.labels)
            objective = losses.sum() * share
            if extra is not None:  # of the batch of all processes already
                objective = objective + extra
            if self._loss_scale is not None:
                objective = objective * self._loss_scale.value
        # Queued before the backward pass: whoever reads it waits for the forward pass alone.
        loss = losses.mean() if extra is None else losses.mean() + extra
        objective.backward()
        if not self._update(lr):  # skipped: the losses forget the batch as well
            self.head.margin.state = learnt
            if self.auxiliary is not None:
                self.auxiliary.undo()
        self._pending = (step + 1, lr, loss)
        return loss

    def collect(self):
        """Read the numbers of the last step if nobody did yet. Waits for its forward pass."""
        if self._pending is None:
            return
        (step, lr, loss), self._pending = self._pending, None
        extra = {} if self.auxiliary is None else self.auxiliary.values()
        result = StepResult(step, lr, float(loss.asscalar()), self.head.stats(), extra)
        self._sums["count"] += 1
        self._sums["loss"] += result.loss
        for name, value in extra.items():
            self._sums[f"auxiliary/{name}"] += value
        for name in ("accuracy", "target_cosine"):
            self._sums[name] += result.stats[name]
        self.last_result = result
        self._emit("result")

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
        for group in by_context.values():
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
            "sums": dict(self._sums),
            "loss_scale": self._loss_scale and self._loss_scale.state_dict(),
        }

    def load_state_dict(self, state):
        """Take back what `state_dict` gave."""
        self.progress = Progress(**state["progress"])
        self._sums.update(state["sums"])
        if self._loss_scale is not None and state["loss_scale"]:
            self._loss_scale.load_state_dict(state["loss_scale"])

    def _run_epoch(self):
        progress = self.progress
        self._emit("epoch_start")
        batches = iter(self.loader.epoch(progress.epoch, start=progress.batch))
        try:
            while progress.step < self.steps and self.stop_reason is None:
                begin = time.monotonic()
                batch = next(batches, None)
                waited = time.monotonic() - begin
                if batch is None:
                    progress.epoch, progress.batch = progress.epoch + 1, 0
                    break
                self.collect()  # of the previous step: its update still keeps the device busy
                self.step(batch)
                progress.step += 1
                progress.batch += 1
                progress.images += len(batch.labels) * self.comm.size
                due = progress.step % self._log_every == 0 or progress.step == self.steps
                if due:
                    self.collect()
                self._clock["busy"] += time.monotonic() - begin
                self._clock["wait"] += waited
                self._clock["images"] += len(batch.labels) * self.comm.size
                if due:
                    self._log()
                self._emit("step_end")
        finally:
            if hasattr(batches, "close"):
                batches.close()
        self._emit("epoch_end")

    def _update(self, lr):
        """Update the weights; return False if the step is skipped, as float16 overflowed."""
        if self._loss_scale is None:
            self.updates.apply(lr)
            return True
        self.updates.scale_gradients(1.0 / self._loss_scale.value)
        norm = self.updates.gradient_norm().asscalar()
        if np.isfinite(norm):
            self.updates.apply(lr)
        self._loss_scale.update(overflow=not np.isfinite(norm))
        return bool(np.isfinite(norm))

    def _log(self):
        sums, clock, progress = self._sums, self._clock, self.progress
        done = progress.step - self._first_step
        elapsed = time.monotonic() - self._started
        keys = ("loss", *(f"auxiliary/{name}" for name in self.auxiliary_names))
        losses = [sums[key] / sums["count"] for key in keys]
        if self.comm.size > 1:  # the head's statistics are of all processes already
            losses = mx.nd.array(losses, ctx=self.ctx[0])
            losses = self.comm.allreduce(losses, op="mean", name="training.loss").asnumpy()
        loss, *extra = (float(value) for value in losses)
        self.last_log = LogRecord(
            step=progress.step,
            epoch=progress.epoch,
            loss=loss,
            accuracy=sums["accuracy"] / sums["count"],
            target_cosine=sums["target_cosine"] / sums["count"],
            lr=self.last_result.lr,
            strength=self._strength(progress.step - 1),
            images_per_second=clock["images"] / max(clock["busy"], 1e-9),
            data_wait=clock["wait"] / max(clock["busy"], 1e-9),
            eta=elapsed / done * (self.steps - progress.step),
            auxiliary=dict(zip(self.auxiliary_names, extra)),
        )
        self._sums = dict.fromkeys(sums, 0)
        self._clock = dict.fromkeys(clock, 0)
        self._emit("log")

    def _emit(self, event):
        for callback in self.callbacks:
            handler = getattr(callback, event, None)
            if handler is not None:
                handler(self)
