"""All families in one process, in inference: MXNet's oneDNN BatchNorm can crash it.

Once BatchNorm has seen an (N, C, 1, 1) output of a depthwise convolution, a flat (N, C) one of the
same sizes ends the process (MXNet 1.9.1), and a test run with it: so another process it is.
"""

import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
    import numpy as np
    from gluonface._compat import mx
    from gluonface.model_zoo import BACKBONES, list_models

    families = {}
    for name in list_models():
        cfg, build = BACKBONES.get(name)
        smallest = families.get(build.__module__)
        if smallest is None or cfg.macs < smallest[0].macs:
            families[build.__module__] = (cfg, build)
    nets = [build(cfg) for cfg, build in families.values()]
    for net in nets:  # values do not matter, so there are none
        for parameter in net.collect_params().values():
            parameter.init, parameter.grad_req = mx.initializer.Zero(), "null"

    # First what sets the trap, for BatchNorms of every width.
    norms = []
    for net in nets:
        net.apply(lambda block: norms.append(block) if hasattr(block, "running_mean") else None)
    for width in sorted({norm.running_mean.shape[0] for norm in norms}):
        trap = mx.gluon.nn.HybridSequential()
        trap.add(
            mx.gluon.nn.Conv2D(width, 7, groups=width, in_channels=width),  # as in GDC
            mx.gluon.nn.BatchNorm(in_channels=width),
        )
        trap.initialize()
        trap(mx.nd.ones((1, width, 7, 7))).wait_to_read()

    for net in nets:
        print(net.cfg.name, flush=True)
        net.initialize()
        y = net(mx.nd.ones((1, 3, 112, 112))).asnumpy()
        assert y.shape == (1, net.cfg.embedding_size) and np.isfinite(y).all()
"""


@pytest.mark.slow
def test_every_family_runs_in_one_process():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
    )
    names = done.stdout.split()
    assert done.returncode == 0, f"in {names[-1:]}: {done.stderr[-2000:]}"
    assert len(names) > 20
