"""Centres and state of a head, read and set."""

import numpy as np
import pytest
from plain_cases import Rank, batch, head_of

from gluonface._compat import mx
from gluonface.errors import InputError

nd = mx.nd


@pytest.mark.parametrize("loss", ["softmax", "arcface"])
def test_state_and_centres_come_back(loss):
    head = head_of(loss)
    head.margin.strength = 0.25
    if head.bias is not None:
        head.bias.set_data(nd.arange(50))
    state = {k: np.array(v) for k, v in head.state_dict().items()}  # as numpy.savez gives it
    other = head_of(loss, seed=1)
    assert not np.array_equal(head.get_centers(), other.get_centers())
    other.load_state_dict(state)
    np.testing.assert_array_equal(head.get_centers(), other.get_centers())
    assert other.margin.strength == 0.25
    x, labels = batch()
    np.testing.assert_array_equal(head(x, labels).asnumpy(), other(x, labels).asnumpy())


def test_shards_cut_the_same_initial_centres_and_load_from_a_whole_state():
    whole = head_of(classes=11)
    parts = [head_of(classes=11, comm=Rank(rank, 4)) for rank in range(4)]
    assert [(part.start, part.stop) for part in parts] == [(0, 3), (3, 6), (6, 9), (9, 11)]
    joined = np.concatenate([part.weight.data().asnumpy() for part in parts])
    np.testing.assert_array_equal(joined, whole.get_centers())
    other = head_of(classes=11, seed=5)
    parts[2].load_state_dict(other.state_dict())
    np.testing.assert_array_equal(parts[2].weight.data().asnumpy(), other.get_centers()[6:9])
    parts[3].set_centers(other.get_centers())
    np.testing.assert_array_equal(parts[3].weight.data().asnumpy(), other.get_centers()[9:])
    with pytest.raises(InputError, match=r"holds classes 6 to 8, this rank needs 0 to 2"):
        parts[0].load_state_dict(parts[2].state_dict())


def test_subcentres_in_and_out():
    head = head_of("subcenter_arcface", classes=5, size=4)
    assert head.weight.shape == (5, 12)
    centers = head.get_centers()
    assert centers.shape == (5, 3, 4)
    assert len(np.unique(centers)) == centers.size
    head.set_centers(centers * 2)
    np.testing.assert_array_equal(head.get_centers(), centers * 2)
    with pytest.raises(InputError, match=r"\(5, 3, 4\)"):
        head.set_centers(np.zeros((5, 4)))


@pytest.mark.parametrize("key", ["num_classes", "embedding_size", "strength", "start", "updates"])
@pytest.mark.parametrize("value", ["12", None, [1, 2], float("nan"), float("inf"), 10**400, {}])
def test_values_of_a_stored_state(key, value):
    head = head_of("arcface")
    before = head.get_centers()
    with pytest.raises(InputError, match=f"the stored head has a {key} that is no number"):
        head.load_state_dict({**head.state_dict(), key: value})
    np.testing.assert_array_equal(head.get_centers(), before)


@pytest.mark.parametrize("key", ["num_classes", "embedding_size", "strength", "start"])
def test_values_that_a_stored_state_lacks(key):
    head = head_of("arcface")
    state = head.state_dict()
    del state[key]
    with pytest.raises(InputError, match=f"the stored head has no {key}"):
        head.load_state_dict(state)
