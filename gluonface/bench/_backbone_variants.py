"""The forms of a backbone that `gluonface bench backbone` compares."""

from __future__ import annotations

import logging
import pathlib
import typing

from ..errors import GluonfaceError, MissingExtraError

__all__ = ["inference_forms", "training_net"]

logger = logging.getLogger(__name__)

ACTIVATION, COMPOSED = "activation", "composed"


def training_net(model: str, form: str) -> typing.Any:
    """Return a network of the zoo with its PReLUs in a form.

    The form "activation" has ``Activation("relu")`` in their place: another function, whose speed
    is the bound for any activation. "composed" is "fast" without `gluonface.native`.
    """
    from .. import native
    from .._compat import mx
    from ..model_zoo import get_model
    from ..nn import PReLU

    class Relu(PReLU):
        """`PReLU` with all slopes 0, which are not learned."""

        def hybrid_forward(self, F, x, alpha):
            return F.Activation(x, act_type="relu")

    def change(block):
        if isinstance(block, PReLU):
            block.__class__ = Relu
            block.alpha.grad_req = "null"

    mx.random.seed(0)
    net = get_model(model, prelu={ACTIVATION: "plain", COMPOSED: "fast"}.get(form, form))
    if form == ACTIVATION:
        net.apply(change)
    net.hybridize(static_alloc=True, static_shape=True)
    if form == COMPOSED:
        with native.without():  # its graph is made at the first call
            net(mx.nd.zeros((1, 3, *net.cfg.input_size))).wait_to_read()
    return net


def inference_forms(model: str) -> tuple[dict[str, typing.Callable], tuple[int, int]]:
    """Return ``{form: function of images (N,3,H,W) float32}`` for the same random weights.

    "plain" is the exported graph, and "rewritten" the one that MXNet runs for it on a CPU.
    "onnxruntime" is the exported ONNX file as users run it: all threads, all its optimisations.
    "openvino" is the same file as `Embedder` runs it.
    """
    import numpy as np

    from .._compat import mx, thread_count
    from ..deploy.engines import OpenVinoEngine, SymbolEngine
    from ..deploy.export import trace
    from ..model_zoo import get_model

    mx.random.seed(0)
    net = get_model(model)
    random = np.random.RandomState(0)
    for name, parameter in net.collect_params().items():
        if name.endswith("alpha") and parameter.shape != (1,):  # as after training: all different
            parameter.set_data(mx.nd.array(random.uniform(0.05, 0.45, parameter.shape)))
    symbol, arrays = trace(net)
    size = net.cfg.input_size
    plain = SymbolEngine(symbol, arrays, mx.cpu(), size, fast=False, chunk=None)
    rewritten = SymbolEngine(symbol, arrays, mx.cpu(), size)
    forms: dict[str, typing.Callable] = {"plain": plain.run, "rewritten": rewritten.run}
    try:
        import onnxruntime

        from ..deploy.onnx.convert import convert

        content = convert(symbol, arrays, size).SerializeToString()
    except (ImportError, GluonfaceError) as error:
        logger.warning("onnxruntime is not measured: %s", error)
        return forms, size
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    forms["onnxruntime"] = lambda images: session.run(None, {"data": images})[0]
    try:
        forms["openvino"] = OpenVinoEngine(pathlib.Path(model), model=content).run
    except MissingExtraError as error:
        logger.warning("OpenVINO is not measured: %s", error)
    return forms, size
