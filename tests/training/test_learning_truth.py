"""Replay a float64 training run of an independent PyTorch implementation through our own parts.

Records, colour order, preprocessing, BatchNorm, PReLU, margin, gradient scale, weight decay and
momentum all have to be right for this to pass. Tolerances are those of the reference's README:
what float32 can reach, since batches of 32 with fresh BatchNorm amplify rounding tenfold a step.
"""

import numpy as np
import pytest

import gluonface as gf
from gluonface._compat import mx
from gluonface.data import Loader, RecordDataset
from gluonface.parallel import Local, PartialFC
from gluonface.training.config.config import OptimizerConfig
from gluonface.training.optimizer_step import OptimizerStep
from gluonface.training.trainer import Trainer

STEPS = 5  # of 12; the later ones would show no more than the trend


class Replay:
    """A loader of given batches."""

    def __init__(self, loader, index):
        self.loader, self.index = loader, index

    def __len__(self):
        return len(self.index)

    def epoch(self, epoch, start=0):
        return self.loader.batches(self.index[start:])


class Recorder:
    """Keep the losses, and the gradients of the first step."""

    def __init__(self):
        self.loss, self.cosine, self.gradients = [], [], None

    def result(self, trainer):
        self.loss.append(trainer.last_result.loss)
        self.cosine.append(trainer.last_result.stats["target_cosine"])

    def step_end(self, trainer):
        if trainer.progress.step == 1:
            self.gradients = [p.grad().asnumpy() for p in trainer.optimizer_step.parameters()]


@pytest.fixture(scope="module")
def replayed(shared):
    truth = np.load(shared / "reference/training/mobilefacenet_arcface_att.npz")
    net = gf.get_model("mobilefacenet")
    parameters = [p for p in net._collect_params_with_prefix().values() if p.grad_req != "null"]
    assert len(parameters) == len(truth["names"])
    for place, parameter in enumerate(parameters):  # both are in forward order
        value = truth[f"p{place:03d}"]
        assert value.size == np.prod(parameter.shape), (place, parameter.name)
        parameter.set_data(mx.nd.array(value.reshape(parameter.shape)))
    net.hybridize(static_alloc=True)
    margin = gf.get_loss("arcface", scale=float(truth["scale"]), margin=float(truth["margin"]))
    head = PartialFC(margin, 28, 128)
    head.set_centers(truth["centers"].astype(np.float32))
    loader = Loader(RecordDataset(shared / "data/att"), 32, flip=False)
    batch = next(loader.batches(truth["index"][:1]))
    with mx.autograd.train_mode():
        embedding = net(mx.nd.array(batch.images).astype("float32")).asnumpy()
    optimizer = OptimizerConfig(
        name="sgd",
        lr=float(truth["lr"]),
        momentum=float(truth["momentum"]),
        wd=float(truth["weight_decay"]),
    )
    recorder = Recorder()
    trainer = Trainer(
        net,
        head,
        Replay(loader, truth["index"]),
        OptimizerStep(net, head, optimizer),
        steps=STEPS,
        lr=lambda step: optimizer.lr,
        strength=lambda step: 1.0,
        ctx=[mx.cpu()],
        comm=Local(),
        callbacks=[recorder],
    )
    trainer.fit()
    return truth, embedding, recorder


def test_embeddings_of_the_first_step(replayed):
    truth, embedding, _ = replayed
    np.testing.assert_allclose(embedding, truth["embedding_step0"], rtol=0, atol=2e-4)


def test_losses(replayed):
    truth, _, recorder = replayed
    ours, theirs = np.array(recorder.loss), truth["loss"][:STEPS]
    error = np.abs(ours / theirs - 1)
    assert error[0] < 1e-5
    assert error[1:3].max() < 5e-3
    # Then only the trend: the same fall, never far from it (PyTorch's float32 is off by 4e-2).
    assert error.max() < 0.25
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98


def test_cosines_to_the_own_class(replayed):
    truth, _, recorder = replayed
    error = np.abs(np.array(recorder.cosine) - truth["mean_target_cosine"][:STEPS])
    assert error[0] < 1e-5
    assert error.max() < 0.05


def test_gradients_of_the_first_step(replayed):
    truth, _, recorder = replayed
    *backbone, centers = recorder.gradients
    for place, ours in enumerate(backbone):
        theirs, name = truth[f"g{place:03d}"], str(truth["names"][place])
        # Shifts before a BatchNorm have no gradient but rounding; the others' norms are near 1.
        if theirs.ndim == 0:  # the norm alone was stored
            np.testing.assert_allclose(np.linalg.norm(ours), theirs, 2e-2, 1e-4, err_msg=name)
        else:
            error = np.linalg.norm(ours.ravel() - theirs.ravel())
            assert error < max(2e-2 * np.linalg.norm(theirs), 1e-4), name
    error = np.linalg.norm(centers - truth["g_centers"]) / np.linalg.norm(truth["g_centers"])
    assert error < 2e-2
    total = np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in backbone))
    np.testing.assert_allclose(total, truth["grad_norm"][0], rtol=2e-2)
