"""Verification while training."""

import logging

import numpy as np

from ..._compat import mx
from ...parallel.agreement import raise_on_all_ranks

__all__ = ["LiveEngine", "Share", "Verification"]

logger = logging.getLogger(__name__)


class LiveEngine:
    """The engine of an `Embedder` for the network that is being trained.

    Parameters
    ----------
    net : mx.gluon.HybridBlock
    ctx : mx.Context
    """

    name, fixed_batch = "the network in training", None

    def __init__(self, net, ctx):
        self._net = net
        self._ctx = ctx
        self.device = str(ctx)
        self.embedding_size = net.cfg.embedding_size

    def run(self, images):
        """Return the outputs (N,D) float32 for images (N,3,H,W) float32."""
        return self._net(mx.nd.array(images, ctx=self._ctx)).asnumpy()


class Share:
    """The images of a verification pack that one of several ranks embeds: whole batches.

    Each batch is one of a single process, so the outputs are the same.

    Parameters
    ----------
    pack : gluonface.data.VerificationPack
    batch_size : int
    rank, size : int

    Attributes
    ----------
    rows : int
        Images of the largest share.
    """

    def __init__(self, pack, batch_size, rank, size):
        self.name = pack.name
        self._pack = pack
        batches = -(-2 * len(pack) // batch_size)
        self.rows = -(-batches // size) * batch_size
        self._images = range(2 * len(pack))[rank * self.rows : (rank + 1) * self.rows]

    def __len__(self):
        return len(self._images) // 2

    def iter_batches(self, batch_size):
        """Yield the images as `VerificationPack.iter_batches` does."""
        for start in range(0, len(self._images), batch_size):
            numbers = self._images[start : start + batch_size]
            yield np.stack([self._pack.image(number) for number in numbers])


class Verification:
    """Evaluate the network on packs every `every` steps and after the last one. A collective.

    It is left out when a stop was requested; a resumed run makes up for it before its first step.

    All ranks embed a share of each pack with the running statistics of rank 0, which a checkpoint
    holds too. No rank waits for long, and the result is that of one process.

    Parameters
    ----------
    packs : sequence of gluonface.data.VerificationPack
        The same on all ranks.
    every : int
    flip : {"none", "sum", "concat"}
    folds : int
    batch_size : int
    at_start : bool
        Whether to evaluate before the first step as well.
    """

    def __init__(self, packs, every, flip="none", folds=10, batch_size=64, at_start=False):
        self._packs = list(packs)
        self._every = every
        self._flip = flip
        self._folds = folds
        self._batch_size = batch_size
        self._at_start = at_start

    def is_due(self, trainer):
        """Return whether the state of the trainer is one to evaluate."""
        step = trainer.progress.step
        if step == 0:
            return self._at_start
        return step % self._every == 0 or step == trainer.steps

    def fit_start(self, trainer):
        """Evaluate the untrained network if asked to, or a checkpoint that was not evaluated."""
        last = trainer.last_evaluation
        done = last is not None and last["step"] == trainer.progress.step
        if self.is_due(trainer) and not done:
            self._evaluate(trainer)

    def step_end(self, trainer):
        """Evaluate if a verification is due and the run goes on."""
        if self.is_due(trainer) and trainer.stop_reason is None:
            self._evaluate(trainer)

    def _evaluate(self, trainer):
        comm = trainer.comm
        if comm.size > 1:
            _share_statistics(trainer)
        results = {pack.name: self._verify(trainer, pack) for pack in self._packs}
        accuracy = 0.0
        if comm.rank == 0:
            accuracy = float(np.mean([r["accuracy"] for r in results.values()] or [0.0]))
        if comm.size > 1:  # all ranks must agree on what is best
            shared = comm.broadcast(mx.nd.array([accuracy]), root=0, name="training.verification")
            with comm.waiting("in the collective 'training.verification'"):
                accuracy = float(shared.asscalar())
        trainer.evaluated(accuracy, results if comm.rank == 0 else {})

    def _verify(self, trainer, pack):
        """Return a pack's result as a dict on rank 0, None on the others."""
        from ...deploy import Embedder
        from ...evaluation.protocols import verification

        net, comm = trainer.net, trainer.comm
        logger.info(
            "verification at step %d: %s, %d pairs ...", trainer.progress.step, pack.name, len(pack)
        )
        card = {
            "name": net.cfg.name,
            "input_size": tuple(net.cfg.input_size),
            "preprocessing": "inside",
        }
        embedder = Embedder(LiveEngine(net, trainer.ctx[0]), card)
        share = Share(pack, self._batch_size, comm.rank, comm.size)
        outputs = raise_on_all_ranks(
            comm,
            lambda: verification.pack_outputs(
                embedder, share, self._batch_size, mirror=self._flip != "none"
            ),
            "training.verification.embedded",
        )
        outputs = [_gather(comm, v, share.rows, 2 * len(pack)) for v in outputs if v is not None]
        result = raise_on_all_ranks(
            comm,
            lambda: (
                None
                if comm.rank
                else verification.evaluate_outputs(
                    pack, outputs[0], (*outputs, None)[1], (self._flip,), self._folds
                )
            ),
            "training.verification.evaluated",
        )
        return result and result[self._flip].to_dict()


def _gather(comm, mine, rows, count):
    """Return the `count` rows of all ranks, each of which has at most `rows`."""
    if comm.size == 1:
        return mine
    filled = np.zeros((rows, mine.shape[1]), np.float32)  # ranks may have none at all
    filled[: len(mine)] = mine
    whole = comm.allgather(mx.nd.array(filled), name="training.verification.outputs")
    return whole[:count].asnumpy()


def _share_statistics(trainer):
    """Give all ranks the running statistics of rank 0, which training does not use."""
    arrays = [
        parameter.data(trainer.ctx[0])
        for name, parameter in trainer.net._collect_params_with_prefix().items()
        if name.endswith(("running_mean", "running_var"))
    ]
    if not arrays:
        return
    flat = mx.nd.concat(*arrays, dim=0)
    flat = trainer.comm.broadcast(flat, root=0, name="training.statistics")
    start = 0
    for array in arrays:
        array[:] = flat[start : start + array.size]
        start += array.size
