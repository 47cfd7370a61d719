"""Trainers of a tiny network, and a callback that writes down what happens."""

from gluonface.training.build import build
from gluonface.training.config.config import config_from_dict
from gluonface.training.config.recipes import parse_override
from gluonface.training.trainer import EVENTS


def overrides(*texts):
    return [parse_override(text) for text in texts]


def config_of(noise_set, **sections):
    settings = {
        "model": {"name": "tiny"},
        "loss": {"name": "arcface", "margin": 0.3, "scale": 16.0},
        "data": {"path": noise_set.data, "batch_size": 8},
        "optimizer": {"name": "adam", "lr": 0.01},
        "train": {"steps": 8},
        "log": {"every": 2},
    }
    for name, values in sections.items():
        settings[name] = {**settings.get(name, {}), **values}
    return config_from_dict(settings)


def make(noise_set, callbacks=(), **sections):
    trainer = build(config_of(noise_set, **sections))
    trainer.callbacks.extend(callbacks)
    return trainer


class Watch:
    """Write down every event and the losses."""

    def __init__(self, stop_at=None):
        self.events, self.losses, self.stop_at = [], [], stop_at

    def __getattr__(self, name):
        if name not in EVENTS:
            raise AttributeError(name)

        def handler(trainer):
            self.events.append(name)
            if name == "result":
                self.losses.append(trainer.last_result.loss)
            if name == "step_end" and trainer.progress.step == self.stop_at:
                trainer.request_stop("enough")

        return handler
