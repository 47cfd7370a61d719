"""Where the states begin, and how they move over several steps."""

import numpy as np
import pytest
from aux_paths import CLASSES, SIZE, batch, close, differentiate, on_ranks

from gluonface._compat import mx
from gluonface.errors import InputError
from gluonface.loss.auxiliary import Auxiliaries, get_auxiliary

nd = mx.nd


def test_ring_begins_at_the_mean_length_of_the_first_batch_and_stays_till_trained():
    x, labels = batch()
    loss = get_auxiliary("ring").initialize()
    differentiate(lambda e: loss(e, labels), x)
    first = np.linalg.norm(x, axis=1).mean()
    close(loss.state_dict()["radius"], [first], 1e-6)
    differentiate(lambda e: loss(e, labels), 3 * x)
    close(loss.state_dict()["radius"], [first], 1e-6)
    trainer = mx.gluon.Trainer(list(loss.collect_params().values()), "sgd", {"learning_rate": 1.0})
    differentiate(lambda e: loss(e, labels), 3 * x)
    trainer.step(1)
    close(loss.state_dict()["radius"], [3 * first], 1e-5)  # 1/2 (l - R)^2 at rate 1: the mean


def test_ring_begins_alike_on_all_ranks_and_keeps_its_start_in_the_state():
    x, labels = batch()
    first = np.linalg.norm(x, axis=1).mean()

    def work(comm):
        loss = get_auxiliary("ring").initialize(comm=comm)
        rows = slice(0, 4) if comm.rank == 0 else slice(4, None)
        loss(nd.array(x[rows]), labels[rows])
        return loss.state_dict()

    for state in on_ranks(2, work):
        close(state["radius"], [first], 1e-6)
        again = get_auxiliary("ring")
        again.load_state_dict(state)
        again(nd.array(10 * x), labels)
        close(again.state_dict()["radius"], [first], 1e-6)


def test_centers_begin_at_zero_and_reach_their_classes():
    labels = np.repeat(np.arange(3), 4)
    rng = np.random.default_rng(0)
    middle = rng.normal(size=(3, SIZE))
    x = middle[labels]
    loss = get_auxiliary("center", alpha=1.0).initialize(CLASSES, SIZE)
    assert not loss.state_dict()["centers"].any()
    for step in range(1, 8):
        differentiate(lambda e: loss(e, labels), x)
        # Each batch of n leaves 1/(1 + n) of the way.
        left = (1 / 5) ** step
        close(loss.state_dict()["centers"][:3], middle * (1 - left), 1e-5)
    assert not loss.state_dict()["centers"][3:].any()  # classes that were in no batch


def test_learned_centres_do_not_depend_on_the_rank_and_do_on_the_seed():
    states = on_ranks(
        2, lambda comm: get_auxiliary("coco").initialize(5, 4, comm=comm, seed=1).state_dict()
    )
    np.testing.assert_array_equal(states[0]["centers"], states[1]["centers"])
    other = get_auxiliary("coco").initialize(5, 4, seed=2).state_dict()["centers"]
    assert np.abs(other - states[0]["centers"]).max() > 1e-3


def test_no_decay_on_what_is_learned():
    for name in ("ring", "coco", "lgm", "uss"):
        loss = get_auxiliary(name).initialize(3, 4)
        assert all(p.wd_mult == 0.0 for p in loss.collect_params().values())


ENTRIES = {"focal": {"gamma": 1.0}, "center": 0.25, "ring": {"weight": 0.5}, "triplet": None}


def test_together_they_add_up_with_their_weights():
    x, labels = batch()
    several = Auxiliaries(ENTRIES, CLASSES, SIZE)
    head = nd.array(np.linspace(0, 2, len(x)))
    losses, extra = several(head, nd.array(x), labels)
    close(losses.asnumpy(), get_auxiliary("focal", gamma=1.0)(head).asnumpy(), 1e-7)
    parts = {
        name: get_auxiliary(name).initialize(CLASSES, SIZE)(nd.array(x), labels).asnumpy().mean()
        for name in ("center", "ring", "triplet")
    }
    close(extra.asscalar(), 0.25 * parts["center"] + 0.5 * parts["ring"] + parts["triplet"], 1e-6)
    assert several.values() == pytest.approx({"focal": losses.asnumpy().mean(), **parts})
    assert list(several.collect_params()) == ["ring/radius"]
    assert set(several.state_dict()) == {"center/centers", "ring/radius", "ring/started"}


def test_what_the_head_computes_is_added_after_samples_are_weighed():
    x, labels = batch()
    several = Auxiliaries({"uss": 0.5, "focal": {"gamma": 1.0}}, CLASSES, SIZE)
    head, asked = nd.array(np.linspace(0, 2, len(x))), []

    def pairs(loss, compute):
        asked.append((loss.name, compute))
        return nd.ones_like(head) * 3 if compute else None

    losses, extra = several(head, nd.array(x), labels, pairs=pairs)
    want = get_auxiliary("focal", gamma=1.0)(head).asnumpy() + 0.5 * 3
    close(losses.asnumpy(), want, 1e-6)
    assert extra is None
    assert several.values()["uss"] == 3.0
    several.factors = {"uss": 0.0}  # the memory fills all the same
    several(head, nd.array(x), labels, pairs=pairs)
    assert asked == [("uss", True), ("uss", False)]
    assert "uss" not in several.values()
    with pytest.raises(InputError, match="uss compares with a memory, which only a head has"):
        several(head, nd.array(x), labels)


def test_together_state_is_taken_back_and_another_refused():
    x, labels = batch()
    several, again = (Auxiliaries(ENTRIES, CLASSES, SIZE) for _ in range(2))
    with mx.autograd.record():
        several(nd.ones((len(x),)), nd.array(x), labels)
    again.load_state_dict(several.state_dict())
    for a, b in zip(several.state_dict().values(), again.state_dict().values()):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match="losses ring, this run has center, ring"):
        again.load_state_dict({k: v for k, v in several.state_dict().items() if k[:4] == "ring"})
    nothing = Auxiliaries({"ohem": None}, CLASSES, SIZE)
    nothing.load_state_dict({})
    losses, extra = nothing(nd.array([1.0, 3.0]), nd.array(x[:2]), labels[:2])
    assert losses.asnumpy().tolist() == [0.0, 6.0]
    assert extra is None


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"centr": 0.1}, "'center'"),
        ({"center": -1}, "center: weight=-1"),
        ({"center": {"alfa": 1}}, "Did you mean 'alpha'"),
        ({"center": "0.1x"}, "neither a weight"),
        ({"focal": 2.0}, "{gamma: 2.0}"),
        ({"label_smoothing": 0.1}, "head.label_smoothing"),
        ({"center": 0.1, "centre": 0.1}, "given twice"),
    ],
)
def test_mistakes_in_a_recipe_are_named(entries, words):
    with pytest.raises(InputError) as error:
        Auxiliaries(entries, CLASSES, SIZE)
    assert words in str(error.value)
