"""The loss of images with two labels, by any margin head, sharded and sampled."""

import numpy as np
import pytest
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.data import Batch
from gluonface.loss import get_loss
from gluonface.parallel import PartialFC
from gluonface.training.mixing import head_losses


def batch_of(count, classes, seed=0):
    random = np.random.Generator(np.random.PCG64(seed))
    labels, others = random.integers(0, classes, (2, count)).astype(np.int32)
    shares = random.random(count).astype(np.float32)
    embedding = mx.nd.array(random.normal(size=(count, 8)))
    embedding.attach_grad()
    return embedding, Batch(None, labels, None, others, shares)


@pytest.mark.parametrize("name", ["arcface", "cosface", "curricularface", "adaface", "softmax"])
def test_both_labels_get_their_margin(name):
    """share * L(y) + (1 - share) * L(z), loss and gradients, by two heads in their turn."""
    embedding, batch = batch_of(6, 5)
    heads = [PartialFC(get_loss(name), 5, 8, seed=1) for _ in range(2)]
    with mx.autograd.record(train_mode=False):  # a loss that learns learns in one go or in two
        losses = head_losses(heads[0], embedding, batch)
        losses.sum().backward()
    got = embedding.grad.asnumpy(), heads[0].weight.grad().asnumpy()
    share = mx.nd.array(batch.shares)
    with mx.autograd.record(train_mode=False):
        own = heads[1](embedding, batch.labels)
        own_part = (own * share).sum()
    own_part.backward()
    expected = [embedding.grad.asnumpy().copy(), heads[1].weight.grad().asnumpy().copy()]
    with mx.autograd.record(train_mode=False):
        other = heads[1](embedding, batch.others)
        other_part = (other * (1 - share)).sum()
    other_part.backward()
    expected[0] += embedding.grad.asnumpy()
    expected[1] += heads[1].weight.grad().asnumpy()
    wanted = (own * share + other * (1 - share)).asnumpy()
    np.testing.assert_allclose(losses.asnumpy(), wanted, rtol=1e-5)
    for one, right in zip(got, expected):  # float32 sums in another order
        np.testing.assert_allclose(one, right, rtol=1e-4, atol=1e-5 * np.abs(right).max())


def test_the_margin_is_on_the_second_label_as_well():
    """With share 0 nothing is left of the first label; code that swaps labels behind the head
    has its margin there all the same."""
    embedding, batch = batch_of(6, 5)
    head = PartialFC(get_loss("arcface"), 5, 8, seed=1)
    batch = batch._replace(shares=np.zeros(6, np.float32))
    np.testing.assert_allclose(
        head_losses(head, embedding, batch).asnumpy(),
        head(embedding, batch.others).asnumpy(),
        rtol=1e-6,
    )
    plain = batch._replace(shares=None, others=None)
    np.testing.assert_array_equal(
        head_losses(head, embedding, plain).asnumpy(), head(embedding, batch.labels).asnumpy()
    )


@pytest.mark.parametrize("sample_rate", [1.0, 0.5])
@pytest.mark.parametrize("size", [1, 2])
def test_both_labels_are_positives_of_a_sharded_head(size, sample_rate):
    """Labels of either kind lie in both shards; a head that samples must have all of them."""
    classes, count = 40, 4
    embedding, batch = batch_of(count * size, classes)

    def work(comm):
        part = slice(count * comm.rank, count * (comm.rank + 1))
        mine = embedding[part].copy()
        mine.attach_grad()
        fields = {name: getattr(batch, name)[part] for name in ("labels", "others", "shares")}
        head = PartialFC(
            get_loss("arcface"), classes, 8, sample_rate=sample_rate, comm=comm, seed=1
        )
        with mx.autograd.record():
            losses = head_losses(head, mine, batch._replace(**fields))
            total = losses.sum()
        total.backward()
        return losses.asnumpy(), mine.grad.asnumpy()

    found, _ = on_ranks(size, work)
    losses, gradients = (np.concatenate(parts) for parts in zip(*found))
    assert np.isfinite(losses).all()
    assert (np.abs(gradients).sum(1) > 0).all()
    if sample_rate < 1:  # fewer negatives: at most the full loss, and above that of the positives
        full = PartialFC(get_loss("arcface"), classes, 8, seed=1)
        positives = np.unique(np.concatenate([batch.labels, batch.others]))
        few = PartialFC(get_loss("arcface"), len(positives), 8, seed=1)
        few.set_centers(full.get_centers()[positives])
        place = {label: at for at, label in enumerate(positives.tolist())}
        again = batch._replace(
            labels=np.array([place[n] for n in batch.labels.tolist()], np.int32),
            others=np.array([place[n] for n in batch.others.tolist()], np.int32),
        )
        assert (losses <= head_losses(full, embedding, batch).asnumpy() + 1e-4).all()
        assert (losses >= head_losses(few, embedding, again).asnumpy() - 1e-4).all()
    else:
        alone = PartialFC(get_loss("arcface"), classes, 8, seed=1)
        expected = head_losses(alone, embedding, batch).asnumpy()
        np.testing.assert_allclose(losses, expected, rtol=1e-5)
