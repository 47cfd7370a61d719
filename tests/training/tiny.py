"""A backbone small enough to train in milliseconds, and a command line that kills itself.

``python tiny.py POINT:N gluonface-arguments...`` ends with SIGKILL (or, for ``sigterm``, gets
SIGTERM) at the N-th time that it comes by POINT. ``none:0`` lets it run. ``POINT:N@R`` does it on
rank R of several alone.
"""

import dataclasses
import os
import signal
import sys
import time

from gluonface._compat import mx
from gluonface.model_zoo import BACKBONES, Backbone, ModelCfg

CFG = ModelCfg(
    name="tiny", embedding_size=8, params=0, macs=0, params_per_dim=0, macs_per_dim=0,
    paper="", source="",
)  # fmt: skip


class Tiny(Backbone):
    """`plain` leaves out what works in another way when a batch is split: BatchNorm and dropout."""

    def __init__(self, cfg, plain=False, **kwargs):
        super().__init__(cfg, **kwargs)
        nn = mx.gluon.nn
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(nn.Conv2D(8, 7, strides=7, in_channels=3))
            if not plain:
                self.features.add(nn.BatchNorm(in_channels=8))
            self.features.add(nn.PReLU(in_channels=8))
            if not plain:
                self.features.add(nn.Dropout(0.2))
            self.features.add(nn.Conv2D(cfg.embedding_size, 16, in_channels=8), nn.Flatten())

    def embed(self, F, x):
        return self.features(x)


for NAME in ("tiny", "tiny-plain"):
    if NAME not in BACKBONES:

        def make(cfg, prelu="plain", plain=NAME == "tiny-plain", **kwargs):
            return Tiny(cfg, plain, **kwargs)

        BACKBONES.register(NAME)((dataclasses.replace(CFG, name=NAME), make))


def bomb(owner, name, number, point, signum=signal.SIGKILL):
    """Make the `number`-th call of an attribute send a signal before it does its work."""
    original, calls = getattr(owner, name), [0]

    def wrapped(*args, **kwargs):
        calls[0] += 1
        if calls[0] == number:
            sys.stderr.write(f"{point} at {time.time():.3f}\n")
            sys.stderr.flush()
            os.kill(os.getpid(), signum)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def poison(owner, number):
    """Make the `number`-th step's embeddings not finite."""
    original, calls = owner._forward_backward, [0]

    def wrapped(self, batch, *args):
        calls[0] += 1
        if calls[0] == number:
            forward = self._forward
            self._forward = lambda x: forward(x) * float("nan")
            try:
                return original(self, batch, *args)
            finally:
                self._forward = forward
        return original(self, batch, *args)

    owner._forward_backward = wrapped


def freeze(owner):
    """Make every BatchNorm of the network use its running statistics."""
    original = owner.__init__

    def wrapped(self, net, *args, **kwargs):
        count = []

        def fix(block):
            if "use_global_stats" in getattr(block, "_kwargs", {}):
                block._kwargs["use_global_stats"] = True
                count.append(block)

        net.apply(fix)
        sys.stderr.write(f"{len(count)} frozen\n")
        original(self, net, *args, **kwargs)

    owner.__init__ = wrapped


def arm(point, number):
    from gluonface.training import optimizer_step, trainer
    from gluonface.training.callbacks import csv_files, verification
    from gluonface.training.checkpoint import checkpoints, class_rows

    if point == "step":  # between two steps
        bomb(trainer.Trainer, "step", number, point)
    elif point == "backward":  # in the middle of a step, the others wait for what does not come
        bomb(optimizer_step.OptimizerStep, "apply", number, point)
    elif point == "frozen":  # no statistics of batches, which depend on how they are split
        freeze(trainer.Trainer)
    elif point == "nan":  # a weight of this rank alone
        poison(trainer.Trainer, number)
    elif point == "hang":  # before a collective that nobody waits for at once
        bomb(trainer.Trainer, "_share_loss", number, point, signal.SIGSTOP)
    elif point == "sigterm":
        bomb(trainer.Trainer, "step", number, point, signal.SIGTERM)
    elif point.startswith("slow-"):  # a signal in a step after which a verification is due
        bomb(trainer.Trainer, "step", number, point, signal.Signals[point[5:]])
    elif point == "rows":  # its files of class centres made, not yet filled
        bomb(class_rows, "write_rows", number, point)
        checkpoints.write_rows = class_rows.write_rows
    elif point == "write":  # a checkpoint half written
        bomb(checkpoints, "write_npz", number, point)
    elif point == "manifest":  # all but what says that it is whole
        bomb(checkpoints, "_describe", number, point)
    elif point == "rename":  # written, not yet in place
        bomb(checkpoints.os, "rename", number, point)
    elif point == "link":  # in place, `last` (or `best`) still the old one
        bomb(checkpoints.Checkpoints, "_link", number, point)
    elif point == "prune":  # the old one still there
        bomb(checkpoints.Checkpoints, "_prune", number, point)
    elif point == "verify":  # saved, not yet verified
        bomb(verification.Verification, "_evaluate", number, point)
    elif point == "mark":  # verified, `best` not yet known to be
        bomb(checkpoints.Checkpoints, "mark_best", number, point)
    elif point == "log":  # a row that no checkpoint knows of
        bomb(csv_files.CsvFiles, "_append", number, point)


if __name__ == "__main__":
    from gluonface.cli import main

    where, times = sys.argv[1].split(":")
    times, _, rank = times.partition("@")
    if rank in ("", os.environ.get("HOROVOD_RANK")):
        arm(where, int(times))
    sys.exit(main(sys.argv[2:]))
