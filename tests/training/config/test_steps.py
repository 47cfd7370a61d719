"""How changes during a run are written."""

import pytest

from gluonface.errors import InputError
from gluonface.training.config.config import config_from_dict, config_to_dict
from gluonface.training.config.steps import highest_value, read_changes


def same(value, name):
    return value


def test_all_kinds_of_times():
    written = {0: 0.1, "0.25": 0.2, "5e3": 0.3, 6000: 0.4, "60 epochs": 0.5, "epoch 61": 0.6,
               "score 0.35": 0.7}  # fmt: skip
    assert read_changes(written, "x", same) == [
        ("step", 0, 0.1), ("share", 0.25, 0.2), ("step", 5000, 0.3), ("step", 6000, 0.4),
        ("epoch", 60, 0.5), ("epoch", 61, 0.6), ("score", 0.35, 0.7),
    ]  # fmt: skip
    assert read_changes(0.1, "x", same) == [("step", 0, 0.1)]
    assert read_changes({"0.0": 1, "1": 2, 1.0: 3}, "x", same)[1:] == [
        ("step", 1, 2),
        ("share", 1.0, 3),
    ]
    assert highest_value({0: 0.1, 5: 0.7, 9: 0.3}) == 0.7
    assert highest_value(0.2) == 0.2


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({}, "does not begin at 0"),
        ({5: 1}, "does not begin at 0"),
        ({0: 1, "soon": 2}, "x: 'soon' says no time"),
        ({0: 1, -3: 2}, "says no time"),
        ({0: 1, 1.5: 2}, "says no time"),
        ({0: 1, "score 1.5": 2}, "says no time"),
        ({0: 1, 9: 2, 5: 3}, "not in the order"),
        ({0: 1, 5: 2, "5": 3}, "not in the order"),
    ],
)
def test_mistakes(written, words):
    with pytest.raises(InputError, match=words):
        read_changes(written, "x", same)


def test_a_configuration_keeps_them():
    tree = {
        "head": {"sample_rate": {0: 0.1, "60 epochs": 1}},
        "loss": {
            "name": "cosface",
            "changes": {"0.5": {"name": "arcface", "margin": 0.3}, "0.9": "cosface"},
            "auxiliary": {"kd_cosine": {"weight": 2, "schedule": {0: 1, "0.5": 0}}},
        },
    }
    config = config_from_dict(tree)
    assert config.head.sample_rate == {"0": 0.1, "60 epochs": 1}
    assert config_from_dict(config_to_dict(config)) == config
    assert config_from_dict({"head": {"sample_rate": "0.3"}}).head.sample_rate == 0.3


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"head": {"sample_rate": {0: 0.1, 5: 2}}}, r"head.sample_rate\['5'\] = 2 is no share"),
        ({"head": {"sample_rate": {5: 0.1}}}, "does not begin at 0"),
        ({"head": {"sample_rate": 2}}, "at most 1"),
        ({"loss": {"changes": {5: {"margin": 1}}}}, "names no loss"),
        ({"loss": {"changes": {"later": "cosface"}}}, "says no time"),
        ({"loss": ["arcface", {"ring": {"schedule": {0: -1}}}]}, "no factor of a weight"),
        ({"teacher": {"source": "a", "embeddings": "b"}}, "both given"),
    ],
)
def test_mistakes_in_a_configuration(tree, words):
    with pytest.raises(InputError, match=words):
        config_from_dict(tree)


def test_a_run_with_a_teacher_has_a_loss_for_it():
    assert config_from_dict({"teacher": {"source": "a"}}).loss.auxiliary == {"kd_cosine": {}}
    tree = {"teacher": {"source": "a"}, "loss": ["arcface", {"ring": 0.1, "ekd": 1}]}
    assert config_from_dict(tree).loss.auxiliary == {"ring": 0.1, "ekd": 1}
    assert config_from_dict({"loss": ["arcface", {"kd_l2": 1}]}).teacher.source is None


def test_mixed_images_go_to_losses_without_labels_and_to_a_network():
    mixed = {"augment": ["mixup"]}
    config_from_dict({"data": mixed, "loss": ["arcface", {"kd_cosine": 1, "kd_logits": 1}]})
    with pytest.raises(InputError, match=r"ekd \(loss\.auxiliary\) knows one"):
        config_from_dict({"data": mixed, "loss": ["arcface", {"kd_cosine": 1, "ekd": 1}]})
    with pytest.raises(InputError, match="sees the mixed ones"):
        config_from_dict({"data": mixed, "teacher": {"embeddings": "e.npy"}})
