"""What public implementations of Partial FC get wrong, one by one, and which test holds it here.

==  ==============================================  ===============================================
 1  loss clamped at 69.08                           test_every_positive_takes_part_... (here)
 2  ArcFace's gradient left out                     test_many_ranks, tests/loss: float64 twins
 3  combined margin missing                         the same, for every registered loss
 4  no care before arccos: NaN                      test_cosines_of_one_... (here)
 5  positives dropped                               test_every_positive_takes_part_... (here)
 6  classes that do not exist                       test_no_class_is_there_... (here)
 7  empty shard or sample crashes                   test_no_class_..., test_partial_fc, two_ranks
 8  ranks with the same centres and samples         test_ranks_have_centres_... (here)
 9  unsampled rows updated                          test_sampled_centers: frozen, against the twin
10  momentum zeroed on resume                       test_sampled_centers: stored_and_loaded
11  no other number of ranks, no exact resume       the same; distributed/test_runs
12  twice the traffic, an N x k table               test_sampled_centers: three_collectives, shapes
13  a reduction for each rank in backward           the same: one, head.gx
14  unnamed collectives                             the same; distributed/test_two_ranks
16  batch must be constant, 1 breaks                test_sampled_centers: odd_batches
17  head must be the last parameter group           test_sampled_centers: as_gluon_parameters_do
18  ranks do not agree on a skipped step            distributed/test_runs: skipped_by_all
19  clipping without centres, parts not averaged    distributed/test_runs: clipping, accumulation
20  losses with target or batch statistics          test_sampled_centers: hash_samples, every loss
21  weight decay fixed                              test_sampled_centers: against the twin, 0.01
22  needs several processes and GPUs                every test with one rank
24  class ids above 2**24 run together              test_ids_above_... (here)
==  ==============================================  ===============================================

Not tested: 15 (waits and Python loops in a step, which ``gluonface bench head`` measures) and 23 (a
slip of the pen in a launch script).
"""

import numpy as np
import pytest
from sampled_cases import CLASSES, SIZE, backward, batch, close, head_of
from simulated_ranks import on_ranks

from gluonface._compat import mx
from gluonface.head import sampled_centers
from gluonface.loss import LOSSES
from gluonface.parallel import PartialFC

nd = mx.nd


@pytest.mark.parametrize("name", LOSSES.list())
def test_cosines_of_one_and_minus_one_give_finite_gradients(name):
    head = head_of(name)
    k = head.margin.subcenters
    weight = np.zeros((CLASSES, k, SIZE), "f")
    weight[:, :, 0] = np.where(np.arange(CLASSES) % 2, 1.0, -1.0)[:, None]
    head.load_rows("weight", 0, weight.reshape(CLASSES, -1))
    x = np.zeros((2, SIZE), "f")
    x[:, 0] = 3.0  # cosines are -1 and 1 without rounding
    loss, grad = backward(head, x, np.array([0, 1]))
    assert np.isfinite(loss).all()
    assert np.isfinite(grad).all()
    assert np.isfinite(head.gradient_square_sum().asscalar())


def test_no_class_is_there_that_does_not_exist():
    """C=9 on 8 ranks: rounding shards up would make 16 rows, 7 of them negatives for all."""

    def work(comm):
        head = head_of("cosface", classes=9, comm=comm, sample_rate=0.999)
        index = np.arange(head.stop - head.start)
        x, labels = batch(n=8, classes=9)
        rows = slice(comm.rank, comm.rank + 1)
        return backward(head, x[rows], labels[rows], index=index)[0]

    found, _ = on_ranks(8, work)
    whole = head_of("cosface", classes=9, sample_rate=1.0)
    close(np.concatenate(found), backward(whole, *batch(n=8, classes=9))[0], 1e-5)


def test_every_positive_takes_part_and_no_loss_is_clamped():
    labels = np.arange(30)
    for sampler in ("hash", "exact"):
        head = head_of("cosface", sampler=sampler, sample_rate=0.05)
        head.load_rows("weight", 0, -np.tile(np.eye(SIZE, dtype="f"), (5, 1)))
        x = np.tile(np.eye(SIZE, dtype="f"), (4, 1))[:30]
        loss, _ = backward(head, x, labels)
        assert set(labels) <= set(head.class_centers.pending[0].index)
        assert loss.min() > 80  # 64 (1 + 0.35) and more; -log(1e-30) is 69.08


def test_ranks_have_centres_and_samples_of_their_own():
    def work(comm):
        head = PartialFC("cosface", 400, SIZE, sample_rate=0.3, comm=comm, seed=1)
        _, labels = batch(classes=400)
        index, positives = head.class_centers.sample(labels, head.sampling_step)
        return np.array(head.row_arrays()["weight"]), np.setdiff1d(index, positives)

    (w0, i0), (w1, i1) = on_ranks(2, work)[0]
    assert len(np.unique(np.concatenate([w0, w1]), axis=0)) == 400
    assert len(np.intersect1d(i0, i1)) < 0.6 * len(i0)


def test_ids_above_2_to_the_24_stay_apart(monkeypatch):
    classes = 2**24 + 3
    monkeypatch.setattr(
        sampled_centers, "initial_centers", lambda a, b, *rest: np.ones((b - a, 1), "f")
    )
    head = PartialFC("cosface", classes, 1, sample_rate=1e-6)
    head.load_rows("weight", 2**24, np.array([[1.0], [-1.0], [1.0]], "f"))
    labels = np.array([2**24, 2**24 + 1])
    loss = head(nd.ones((2, 1)), labels, index=labels).asnumpy()
    # float32 would make one class of the two: then both losses would be alike.
    assert loss[0] < 1e-3
    assert loss[1] > 100
