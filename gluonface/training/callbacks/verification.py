"""Verification while training."""

import numpy as np

from ..._compat import mx

__all__ = ["LiveEngine", "Verification"]


class LiveEngine:
    """Run the network in training as `gluonface.deploy.Embedder` runs an exported one.

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


class Verification:
    """Evaluate the network on packs every `every` steps and after the last one.

    Parameters
    ----------
    packs : sequence of gluonface.data.VerificationPack
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

    def fit_start(self, trainer):
        """Evaluate the untrained network if asked to."""
        if self._at_start and trainer.progress.step == 0:
            self._evaluate(trainer)

    def step_end(self, trainer):
        """Evaluate if it is time."""
        step = trainer.progress.step
        if step % self._every == 0 or step == trainer.steps:
            self._evaluate(trainer)

    def _evaluate(self, trainer):
        results, comm = {}, trainer.comm
        if comm.rank == 0:
            results = {pack.name: self._verify(trainer, pack) for pack in self._packs}
        accuracy = float(np.mean([r["accuracy"] for r in results.values()] or [0.0]))
        if comm.size > 1:  # all ranks must agree on what is best
            shared = comm.broadcast(mx.nd.array([accuracy]), root=0, name="training.verification")
            accuracy = float(shared.asscalar())
        trainer.evaluated(accuracy, results)

    def _verify(self, trainer, pack):
        from ...deploy import Embedder
        from ...evaluation import verification

        net = trainer.net
        card = {
            "name": net.cfg.name,
            "input_size": tuple(net.cfg.input_size),
            "preprocessing": "inside",
        }
        embedder = Embedder(LiveEngine(net, trainer.ctx[0]), card)
        results = verification.evaluate_pack(
            embedder, pack, variants=(self._flip,), batch_size=self._batch_size, folds=self._folds
        )
        return results[self._flip].to_dict()
