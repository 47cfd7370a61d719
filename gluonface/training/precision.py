"""Reduced precision of the backbone through MXNet's AMP. The head stays in float32."""

from __future__ import annotations

import importlib
import pathlib
import warnings
from typing import Any

from .._compat import mx
from ..errors import InputError

__all__ = ["LossScale", "reduced", "require_dtype"]


def require_dtype(dtype: str, ctx: list) -> None:
    """Raise InputError if the devices cannot compute in `dtype`, see `reduced`."""
    if dtype == "float32":
        return
    on_cpu = [c for c in ctx if c.device_type.startswith("cpu")]
    if dtype == "float16" and on_cpu:
        raise InputError(
            "train.dtype = 'float16' needs GPUs: on a CPU MXNet 1.9.1 has no float16 matrix "
            "product ('FP16 gemm on cpu not implemented'). Use float32, or bfloat16 if the CPU "
            "has avx512_bf16."
        )
    if dtype == "bfloat16":
        if len(on_cpu) < len(ctx):
            raise InputError(
                "train.dtype = 'bfloat16' needs CPUs: MXNet 1.9.1 has no bfloat16 on GPUs. "
                "Use float16 there."
            )
        if not _cpu_has_bfloat16():
            raise InputError(
                "train.dtype = 'bfloat16': this CPU has no avx512_bf16 instructions. Use float32."
            )


def reduced(net: Any, dtype: str, ctx: list) -> Any:
    """Return a block that computes `net` in `dtype` with the same, float32, parameters.

    Parameters
    ----------
    net : mx.gluon.HybridBlock
    dtype : {"float32", "float16", "bfloat16"}
        float16 needs GPUs, bfloat16 CPUs with avx512_bf16.
    ctx : list of mx.Context

    Returns
    -------
    mx.gluon.Block
        `net` itself for float32. Else AMP's version of its graph: casts before convolutions and
        linear layers, operators that need the range in float32. MXNet's `amp.init` would patch
        every operator of the process, the head's included.

    Raises
    ------
    InputError
        If the devices cannot do it.
    """
    if dtype == "float32":
        return net
    require_dtype(dtype, ctx)
    amp = importlib.import_module(f"{mx.__name__}.contrib.amp")
    lists = amp.lists.symbol_bf16 if dtype == "bfloat16" else amp.lists.symbol_fp16
    data = mx.sym.var("data")
    symbol = amp.convert_symbol(
        net(data),
        target_dtype=dtype,
        # AMP casts LeakyReLU's input but not its slopes, which its prelu form then refuses.
        conditional_fp32_ops=[*lists.CONDITIONAL_FP32_FUNCS, ("LeakyReLU", "act_type", ["prelu"])],
        data_names=["data"],
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Cannot decide type")  # of the input alone
        block = mx.gluon.SymbolBlock(symbol, data, params=net.collect_params())
    return block


def _cpu_has_bfloat16():
    try:
        return "avx512_bf16" in pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


class LossScale:
    """The factor that keeps float16 gradients from vanishing: halved on overflow, grown slowly.

    Parameters
    ----------
    start : float, default 65536
    growth_steps : int, default 2000
        Steps without overflow after which it doubles.
    """

    MAXIMUM = 2.0**24

    def __init__(self, start: float = 2.0**16, growth_steps: int = 2000):
        self.value = float(start)
        self.growth_steps = growth_steps
        self.good = 0

    def update(self, overflow: bool) -> None:
        """Halve the value on overflow, or count a step without one."""
        if overflow:
            self.value = max(1.0, self.value / 2)
            self.good = 0
            return
        self.good += 1
        if self.good == self.growth_steps:
            self.value = min(self.MAXIMUM, self.value * 2)
            self.good = 0

    def state_dict(self) -> dict:
        """Return the state for a checkpoint."""
        return {"value": self.value, "good": self.good}

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self.value, self.good = float(state["value"]), int(state["good"])
