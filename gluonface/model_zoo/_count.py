"""Count what a network costs: trainable parameters, and multiply-accumulates from its symbol."""

import json
import math

__all__ = ["count_macs", "count_params"]


def count_params(net):
    """Return the number of trainable parameters of an initialised block.

    BatchNorm's running statistics, and a gamma or beta that is held fixed, have the `grad_req`
    "null" and do not count.
    """
    return sum(
        math.prod(parameter.shape)
        for parameter in net.collect_params().values()
        if parameter.grad_req != "null"
    )


def count_macs(net):
    """Return the multiply-accumulates of convolutions and linear layers for one image.

    Biases, BatchNorm and activations do not count. The plain form of the network is counted.

    Parameters
    ----------
    net : Backbone
    """
    symbol = net.to_symbol("plain")
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape(data=(1, 3, *net.cfg.input_size))
    shapes = dict(zip(internals.list_outputs(), shapes))
    nodes = json.loads(symbol.tojson())["nodes"]
    total = 0
    for node in nodes:
        if node["op"] not in ("Convolution", "FullyConnected"):
            continue
        # A weight is (outputs, inputs of one group, ...kernel): each output number costs the
        # product of all but the first.
        weight = shapes[nodes[node["inputs"][1][0]]["name"]]
        total += math.prod(shapes[f"{node['name']}_output"]) * math.prod(weight[1:])
    return total
