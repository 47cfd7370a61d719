"""Every way in and out for weights; no other package opens such files.

In the order in which a source goes through the package:

- `source`: what a SOURCE means, and the one resolver;
- `opened`: the one object for an opened source, and the reader of each format;
- `mxnet_params`, `torch_pickle`, `safetensors`, `onnx_file`: the formats;
- `graph`: the one graph of nodes; `layers` reduces it to its layers with weights, `folding` folds
  BatchNorms into the layers before them;
- `names`: what each toolkit calls the tensors of our backbones;
- `load`: weights into a backbone; `card`: the model card.
"""

from .load import load_net, load_weights
from .opened import open_weights

__all__ = ["load_net", "load_weights", "open_weights"]
