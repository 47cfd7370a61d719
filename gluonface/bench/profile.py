"""The share of each operator in the time of a backbone's inference."""

from __future__ import annotations

import json
import os

__all__ = ["CONVOLUTIONS", "profile"]

# The operators of convolutions and linear layers with what is fused into them.
CONVOLUTIONS = (
    "Convolution",
    "FullyConnected",
    "_sg_mkldnn_conv",
    "_sg_mkldnn_fully_connected",
    "_gluonface_depthwise1",
    "_gluonface_depthwise2",
    "batch_dot",
    "_linalg_gemm2",
)
# MXNet's own tasks beside a network's operators.
OTHERS = ("Copy", "WaitForVar", "DeleteVariable", "ResourceParallel", "SetupExec", "SetValue")


def profile(model: str, batch_size: int = 8, repeats: int = 5) -> list[tuple[str, float]]:
    """Time the operators of a backbone's inference, as `Embedder` runs it with MXNet on a CPU.

    Parameters
    ----------
    model : str
        Name of the backbone; its weights are random.
    batch_size : int, default 8
    repeats : int, default 5

    Returns
    -------
    list of (str, float)
        Operators and their shares of the time, the largest first.
    """
    import numpy as np

    from .._compat import mx
    from ..deploy.engines import SymbolEngine
    from ..deploy.export import trace
    from ..model_zoo import get_model

    net = get_model(model)
    size = net.cfg.input_size
    symbol, arrays = trace(net)
    engine = SymbolEngine(symbol, arrays, mx.cpu(), size)
    images = np.random.RandomState(0).uniform(0, 255, (batch_size, 3, *size)).astype(np.float32)
    engine.run_operators_singly()
    engine.run(images)
    mx.profiler.set_config(
        profile_symbolic=True,
        profile_imperative=True,
        aggregate_stats=True,
        filename=os.devnull,  # MXNet writes a trace beside the sums, at a time of its own
    )
    mx.profiler.set_state("run")
    try:
        for _ in range(repeats):
            engine.run(images)
        mx.nd.waitall()
    finally:
        mx.profiler.set_state("stop")
        stats = json.loads(mx.profiler.dumps(reset=True, format="json"))
    operators = stats["Time"].get("operator", {})
    times = {n: entry["Total"] for n, entry in operators.items() if not n.startswith(OTHERS)}
    total = sum(times.values()) or 1.0
    return sorted(((n, t / total) for n, t in times.items()), key=lambda item: -item[1])
