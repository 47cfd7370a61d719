"""Trainers of heads and auxiliary losses with a state."""

import csv

from gluonface.training.build import build
from gluonface.training.config.config import config_from_dict


def make(noise_set, loss, auxiliary=None, accumulate=1, **head):
    settings = {
        "model": {"name": "tiny"},
        "loss": {"name": loss, "auxiliary": auxiliary or {}},
        "head": head,
        "data": {"path": noise_set.data, "batch_size": 8},
        "optimizer": {"name": "sgd", "lr": 0.05, "clip_norm": 5.0},
        "train": {"steps": 6, "accumulate": accumulate},
        "log": {"every": 2},
    }
    return build(config_from_dict(settings))


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
