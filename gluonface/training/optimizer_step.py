"""The optimizer step: gradients summed over devices and ranks, clipped, applied."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from .._compat import mx
from ..errors import InputError, TrainingError
from .optimizers import SLOTS, make_optimizer, without_decay

if TYPE_CHECKING:
    from ..head import PartialFC
    from ..loss.auxiliary import Auxiliaries
    from ..parallel.communicator import Communicator
    from .config.config import OptimizerConfig

__all__ = ["OptimizerStep"]


class OptimizerStep:
    """Sum gradients over devices and processes, clip, and update backbone and head.

    Parameters
    ----------
    net : mx.gluon.HybridBlock
        The backbone, initialised on one or several contexts.
    head : PartialFC
        The classifier; `collect_params()` gives its parameters on the first context. A head that
        `updates_itself` gets the optimizer's settings here, and is updated in `apply`.
    config : OptimizerConfig
    comm : Local or Horovod, optional
        Gradients of the backbone are summed over its ranks. Those of the head belong to one rank
        each.
    auxiliary : gluonface.loss.auxiliary.Auxiliaries, optional
        Their parameters are the same on all ranks, and so are the gradients: nothing is summed.
    accumulate : int, default 1
        Backward passes whose gradients are summed before an update.
    """

    def __init__(
        self,
        net: Any,
        head: PartialFC,
        config: OptimizerConfig,
        comm: Communicator | None = None,
        auxiliary: Auxiliaries | None = None,
        accumulate: int = 1,
    ):
        self._comm = comm if comm is not None and comm.size > 1 else None
        self._waiting = contextlib.nullcontext if comm is None else comm.waiting
        self._clip = config.clip_norm
        self._wire_dtype = config.wire_dtype
        self._optimizer = config.name
        self._head_prefix = getattr(getattr(head, "params", None), "prefix", "")
        self._accumulate = accumulate
        self._groups: dict[str, Any] = {}
        self._head = head if getattr(head, "updates_itself", False) else None
        self._centers = getattr(head, "class_centers", None)
        self._ctx = getattr(head, "ctx", None)
        shared = getattr(getattr(head, "margin", None), "has_shared_bias", False)
        self._shared = getattr(head, "bias", None) if shared else None
        self._replicated = getattr(head, "mode", "sharded") == "replicated"
        if self._head is not None:
            head.set_optimizer(
                config.name,
                momentum=config.momentum,
                wd=config.wd,
                beta1=config.beta1,
                beta2=config.beta2,
                epsilon=config.epsilon,
            )
        for group, block in (("backbone", net), ("head", head), ("auxiliary", auxiliary)):
            if block is None:
                continue
            named = _trainable(block)
            if config.no_decay:
                without_decay(named.values())
            if accumulate > 1:
                for parameter in named.values():
                    parameter.grad_req = "add"
            if named:
                trainer = mx.gluon.Trainer(
                    list(named.values()), make_optimizer(config), update_on_kvstore=False
                )
                self._groups[group] = (list(named), trainer)

    def begin(self) -> None:
        """Zero all gradients. Call before the first backward pass of a step."""
        if self._accumulate > 1:
            for parameter in self.parameters():
                parameter.zero_grad()
        if self._head is not None:
            self._head.zero_grad()

    def apply(self, lr: float, scale: float = 1.0, check: bool = False) -> bool:
        """Update all parameters with the gradients since `begin`.

        Parameters
        ----------
        lr : float
            Learning rate of this step.
        scale : float, default 1.0
            Factor of the gradients: one over the loss scale.
        check : bool, default False
            Update nothing, on any rank, if a gradient of any rank is not finite. Waits for the
            backward pass.

        Returns
        -------
        bool
            Whether the update was done.
        """
        for group, (_, trainer) in self._groups.items():
            trainer.set_learning_rate(lr)
            trainer.allreduce_grads()
            if group == "backbone" and self._comm is not None:
                self._sum_over_ranks(trainer)
        factor = scale
        if self._clip is not None or check:
            # All ranks compute the same norm: the gradients of the backbone are summed already,
            # and the squared norms of the heads are. So they agree on whether it is finite, too.
            norm = self.gradient_norm() * abs(scale)
            if check and not np.isfinite(self._read(norm)):
                return False
            if self._clip is not None:
                factor = mx.nd.minimum(self._clip / (norm + 1e-12), 1.0) * scale
        if not (isinstance(factor, float) and factor == 1.0):
            self.scale_gradients(factor)
        if self._head is not None:  # while the backbone's gradients are exchanged
            plain = isinstance(factor, float)
            self._head.update(lr, scale=factor if plain else float(self._read(factor)))
        for _, trainer in self._groups.values():
            trainer.update(1)
        if self._centers is not None:
            self._centers.project()
        return True

    def _read(self, norm):
        with self._waiting("for the gradient's norm"):
            return norm.asscalar()

    def gradient_norm(self) -> Any:
        """Return the global norm of all gradients, on the first context (no wait)."""
        total: Any = None
        for group in ("backbone", "auxiliary", "head"):
            own = None
            if group in self._groups:
                parameters = self._groups[group][1]._params
                if self._comm is not None and self._comm.rank > 0 and not self._replicated:
                    # The bias that all ranks share is counted on the first one.
                    parameters = [p for p in parameters if p is not self._shared]
                grads = [p.grad(p.list_ctx()[0]).reshape((-1,)) for p in parameters]
                # A plain sum adds in one order, whatever the number of threads.
                if not grads:
                    flat = mx.nd.zeros((1,), ctx=self._ctx)
                else:
                    flat = mx.nd.concat(*grads, dim=0) if len(grads) > 1 else grads[0]
                own = mx.nd.square(flat).sum().reshape((1,))
            if group == "head":
                own = self._head_square_sum(own)
            if own is not None:
                total = own if total is None else total + own.as_in_context(total.context)
        return total.sqrt()

    def _head_square_sum(self, own):
        """Return the squared norm of the head's gradient over all ranks, (1,)."""
        if self._head is not None:
            theirs = self._head.gradient_square_sum()
            own = theirs if own is None else own + theirs
        if self._comm is not None and not self._replicated:  # a shard of its own, or none
            own = mx.nd.zeros((1,), ctx=self._ctx) if own is None else own
            own = self._comm.allreduce(own, op="sum", name="training.head_norm")
        return own

    def scale_gradients(self, factor: Any) -> None:
        """Multiply all gradients by `factor` (float or NDArray of one element), in place.

        Except those of a head that updates itself, whose `update` takes the factor.
        """
        for _, trainer in self._groups.values():
            for parameter in trainer._params:
                for grad in parameter.list_grad():
                    if isinstance(factor, mx.nd.NDArray):
                        local = factor.as_in_context(grad.context)
                        mx.nd.broadcast_mul(grad, local.reshape((1,) * grad.ndim), out=grad)
                    else:
                        grad *= factor

    def parameters(self) -> list:
        """Return all trainable parameters."""
        return [p for _, trainer in self._groups.values() for p in trainer._params]

    def state(self, group: str) -> dict:
        """Return the optimizer's state of ``"backbone"`` or ``"head"`` as NumPy arrays.

        Returns
        -------
        dict of str to numpy.ndarray
            ``NAME#SLOT`` (momentum, moments) and ``NAME#count`` (updates so far).
        """
        names, trainer = self._groups.get(group, ((), None))
        arrays = {}
        for index, name in enumerate(names):
            state = trainer._updaters[0].states.get(index)
            for slot, array in enumerate(_slots(state)):
                arrays[f"{name}#{slot}"] = array.asnumpy()
            count = _counts(trainer, 0).get(index)
            if count is not None:
                arrays[f"{name}#count"] = np.int64(count)
        return arrays

    def head_rows(self) -> dict:
        """Return the head's optimizer state that has a row per class, as {name: array}.

        Names are those of `PartialFC.row_arrays`: ``momentum``, ``mean``, ``variance`` of the
        centres, and ``bias.momentum`` and so on of further parameters.
        """
        return {k: v for k, v in self._head_arrays().items() if not self._is_shared(k)}

    def head_shared(self) -> dict[str, float]:
        """Return the optimizer's state of the bias that all classes share, as {name: number}.

        Names are those of a `PartialFC.state_dict` of a head that updates itself.
        """
        arrays = self._head_arrays().items()
        return {f"shared_{k}": float(v[0]) for k, v in arrays if self._is_shared(k)}

    def shared_arrays(self, state: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return what `head_shared` found in the stored state of a head, for `load_head_rows`."""
        names = (
            [f"bias.{slot}" for slot in SLOTS[self._optimizer]] if self._shared is not None else []
        )
        found = {name: state.get(f"shared_{name}") for name in names}
        return {k: np.array([v], np.float32) for k, v in found.items() if v is not None}

    def _head_arrays(self):
        state = self.state("head")
        return {
            self._row_name(key): value for key, value in state.items() if not key.endswith("#count")
        }

    def _is_shared(self, name):
        return self._shared is not None and name.startswith("bias.")

    def head_counts(self) -> dict[str, int]:
        """Return {parameter: updates so far} of the head's parameters."""
        state = self.state("head")
        return {k[: -len("#count")]: int(v) for k, v in state.items() if k.endswith("#count")}

    def load_head_rows(self, rows, counts, steps):
        """Restore what `head_rows` and `head_counts` returned, or a head that updates itself.

        `steps` is the number of updates of centres that have no count.
        """
        names, _ = self._groups.get("head", ((), None))
        slots = range(len(SLOTS[self._optimizer]))
        keys = {self._row_name(f"{n}#{i}"): f"{n}#{i}" for n in names for i in slots}
        rows = {name: value for name, value in rows.items() if name != "last_step"}  # all caught up
        state = {keys.get(name, name): value for name, value in rows.items()}
        for name in names:
            if name in counts or f"{name}#0" in state:
                state[f"{name}#count"] = counts.get(name, steps)
        self.load_state("head", state)

    def _row_name(self, key):
        name, slot = key.rsplit("#", 1)
        name = name[len(self._head_prefix) :] if name.startswith(self._head_prefix) else name
        slot = SLOTS[self._optimizer][int(slot)]
        return slot if name == "weight" else f"{name}.{slot}"

    def load_state(self, group, arrays):
        """Restore what `state` returned, on every context.

        Raises
        ------
        TrainingError
            If an array is missing, superfluous or of another shape.
        """
        names, trainer = self._groups.get(group, ((), None))
        left = dict(arrays)
        for index, name in enumerate(names):
            count = left.pop(f"{name}#count", None)
            if count is None:
                continue  # never updated: the state is made at the first update
            parameter = trainer._params[index]
            values = []
            while f"{name}#{len(values)}" in left:
                values.append(left.pop(f"{name}#{len(values)}"))
            for device, context in enumerate(parameter.list_ctx()):
                fresh = trainer._optimizer.create_state_multi_precision(
                    index, parameter.data(context)
                )
                slots = _slots(fresh)
                if [s.shape for s in slots] != [v.shape for v in values]:
                    raise TrainingError(
                        f"the checkpoint's optimizer state of {name} has arrays of shape "
                        f"{[v.shape for v in values]}, expected {[s.shape for s in slots]}; "
                        "it was written with another optimizer or network"
                    )
                for slot, value in zip(slots, values):
                    slot[:] = value
                updater = trainer._updaters[device]
                updater.states[index] = fresh
                updater.states_synced[index] = True
                _counts(trainer, device)[index] = int(count)
                trainer._optimizer.num_update = max(trainer._optimizer.num_update, int(count))
        if left:
            raise TrainingError(
                f"the checkpoint has optimizer state for {sorted(left)[0]!r}, which this run does "
                "not train; it was written with another network or head"
            )

    def _sum_over_ranks(self, trainer):
        """Replace the gradients by their sums over all ranks.

        They are those of a mean over all ranks' samples, so their sum is right, not their mean.
        """
        grads = [p.grad(p.list_ctx()[0]) for p in trainer._params]
        flat = mx.nd.concat(*[g.reshape((-1,)) for g in grads], dim=0)
        if self._wire_dtype == "float16":
            # Divided before the trip, so that the sum of many ranks stays in float16's range.
            size = self._comm.size
            flat = (flat * (1.0 / size)).astype("float16")
            flat = self._comm.allreduce(flat, op="sum", name="training.gradients")
            flat = flat.astype("float32") * size
        else:
            flat = self._comm.allreduce(flat, op="sum", name="training.gradients")
        start = 0
        for parameter, grad in zip(trainer._params, grads):
            total = flat[start : start + grad.size].reshape(grad.shape)
            start += grad.size
            for own in parameter.list_grad():
                total.copyto(own)


def _trainable(block):
    """Return {structural name: parameter} of a block's parameters that are trained, in order."""
    if isinstance(block, mx.gluon.Block):
        named = block._collect_params_with_prefix()
    else:
        named = dict(block.collect_params().items())
    named = {name: p for name, p in named.items() if p.grad_req != "null"}
    for name, parameter in named.items():
        if not parameter.shape or 0 in parameter.shape:
            raise InputError(
                f"parameter {name} has the unknown shape {parameter.shape}; "
                "build the network with explicit in_channels and in_units"
            )
    return named


def _slots(state):
    """Return the arrays of an optimizer's state in a fixed order."""
    if state is None:
        return []
    if isinstance(state, (tuple, list)):
        return [array for each in state for array in _slots(each)]
    return [state]


def _counts(trainer, device):
    """Return the update counts {index: count} that the optimizer keeps for a device.

    MXNet's optimizers key them by the context's device id, so that N devices count each step once.
    """
    device_id = trainer._contexts[device].device_id
    return trainer._optimizer._all_index_update_counts.setdefault(device_id, {})
