"""Margins that are drawn for each sample, alike on any number of processes."""

import math
import typing

import numpy as np

from ._margin import Margin, Parameter, declare, scale_parameter

__all__ = ["ElasticMargin", "elastic_parameters"]

ORDERS = ("random", "plus", "plus_as_published")


def elastic_parameters(default, unit, more=""):
    """Return the parameters of ElasticFace but for the mean and the policy."""
    return {
        "std": Parameter(
            None,
            f"standard deviation of the margins; none is {default}",
            unit,
            more,
            low=0.0,
            high=1.0,
            why="it is the spread of a margin",
        ),
        "order": Parameter(
            "random",
            "which sample gets which of the drawn margins",
            more="``random``: as drawn. ``plus``: the largest one goes to the sample with the "
            "lowest cosine to its own class, over the batch of all processes. "
            "``plus_as_published``: what the authors' code does, see the notes.",
            choices=ORDERS,
        ),
        "seed": Parameter(
            0, "of the draws", low=0, high=2**32, whole=True, why="it is part of a generator's key"
        ),
        "scale": scale_parameter(),
    }


class ElasticMargin(Margin):
    """Template of a loss whose samples have margins of their own, normally distributed."""

    usual: typing.Mapping[str, float] = declare()  # standard deviation by `order`
    initial_state = declare(step=0.0)
    target_inputs = ("row_margin",)

    @property
    def statistics(self):
        """What `update` takes."""
        return ("count",) if self.order == "random" else ("cosine",)

    def update(self, F, cosine=None):
        """Count the step."""
        self.state["step"] = self.state["step"] + 1.0

    def drawn(self, count):
        """Return the margins (count,) float64 of this step in the order of their draw."""
        std = self.usual[self.order] if self.std is None else self.std
        step = self.state["step"]
        step = int(step if isinstance(step, float) else step.asscalar())
        # Raw bits of a counter-based generator are the same in every version of NumPy.
        bits = np.random.Philox(key=np.array([self.seed, step], np.uint64)).random_raw(2 * count)
        uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
        radius = np.sqrt(-2.0 * np.log(uniform[0::2]))  # Box and Muller's method
        return self.margin + std * radius * np.cos(2.0 * math.pi * uniform[1::2])

    def row_margins(self, count, cosine=None):
        """Return the margins of all samples, drawn and then put in `order`."""
        margins = self.drawn(count)
        if self.order == "plus":
            margins = np.sort(margins)[::-1]
            ordered = np.empty_like(margins)
            ordered[np.argsort(cosine, kind="stable")] = margins  # ties by place in the batch
            margins = ordered
        elif self.order == "plus_as_published":
            margins = np.sort(margins)[np.argsort(-cosine, kind="stable")]
        return margins.astype(np.float32)
