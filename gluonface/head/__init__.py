"""The class-sharded, sampled classifier around any margin loss.

From `PartialFC.__call__` to the loss and back, in reading order:

1. `partial_fc`: checks its arguments, gathers the labels of all ranks, and starts the step.
2. `class_centers`: selects the classes of the step and takes their gradients; Gluon parameters.
3. `sampled_centers`: the same for centres that update themselves, of which a sample is in a step.
4. `sharded_softmax`: the step over all ranks, losses forward and gradients backward.
5. `class_chunk`: the logits to some classes of one rank, forward and backward.
6. `margin_gradients`: the margin's formulas with their derivatives.

`binary` is the step of losses without a softmax, `bank` that of losses which keep an embedding of
each class, `added` has losses that are added to a head's own.

What these call does what its name says: `array_operations` are the few large matrix operations,
`custom_function.record` hands the backward pass to autograd, `sampling` draws classes, a store of
`storage` reads and writes rows, `row_optimizers` updates them.

Not in a step: `head_state` (centres and state in and out), `initial_centers`, `memory_estimate`.
"""

import typing

from ..lazy_names import lazy_names

if typing.TYPE_CHECKING:
    from .partial_fc import PartialFC

__all__ = ["PartialFC"]

# On first use: naming the head must not import MXNet.
__getattr__, __dir__ = lazy_names(__name__, {"PartialFC": ".partial_fc"})
