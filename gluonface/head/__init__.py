"""The class-sharded, sampled classifier around any margin loss.

From `PartialFC.__call__` to the loss and back:

1. `partial_fc`: checks its arguments and gathers the labels of all ranks.
2. `class_centers`: which classes take part in the step, and their rows.
3. `sharded_softmax`: one step over all ranks, losses forward and gradients backward.
4. `class_chunk`: the same for some classes of one rank.
5. `margin_gradients`: the margin's formulas with their derivatives.
6. `row_optimizers`: how the centres of the step are updated.
"""

import importlib

# Resolved on first use: naming the head must not import MXNet.
_LAZY = {"PartialFC": "partial_fc"}

__all__ = ["PartialFC"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
