"""The forms of a backbone that `gluonface bench backbone` compares."""

from __future__ import annotations

import logging
import pathlib
import typing
import warnings

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
    image = mx.nd.zeros((1, 3, *net.cfg.input_size))  # a graph is made at the first call
    if form == COMPOSED:
        with native.without():
            net(image).wait_to_read()
    if form == ACTIVATION:
        with warnings.catch_warnings():  # of the slopes, which `Relu` does not use
            warnings.filterwarnings("ignore", "Parameter .* is not used by any computation")
            net(image).wait_to_read()
    return net


def inference_forms(
    model: str, precisions: typing.Sequence[str] = ("float32",)
) -> tuple[dict[str, typing.Callable], tuple[int, int]]:
    """Return ``{form: function of images (N,3,H,W) float32}`` for the same random weights.

    "plain" is the exported graph, and "rewritten" the one that MXNet runs for it on a CPU.
    "onnxruntime" is the exported ONNX file as users run it: all threads, all its optimisations.
    "openvino" is the same file as `Embedder` runs it. Another precision stands behind the engine's
    name: "openvino bfloat16", "openvino int8", "onnxruntime int8".
    """
    import numpy as np

    from .._compat import mx, thread_count
    from ..deploy.engine_selection import check_precision
    from ..deploy.engines import OnnxEngine, OpenVinoEngine, SymbolEngine
    from ..deploy.export import trace
    from ..deploy.int8 import quantize
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
    name = pathlib.Path(model)
    try:
        forms["openvino"] = OpenVinoEngine(name, content).run
        if "bfloat16" in precisions:
            check_precision("bfloat16", "openvino", False)
            forms["openvino bfloat16"] = OpenVinoEngine(name, content, "bfloat16").run
    except MissingExtraError as error:
        logger.warning("OpenVINO is not measured: %s", error)
    if "int8" in precisions:
        coarse = np.random.RandomState(0).randint(0, 256, (8, size[0] // 8, size[1] // 8, 3))
        images = coarse.astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
        small = quantize(symbol, arrays, images, size, model)[0]
        forms["onnxruntime int8"] = OnnxEngine(name, False, small).run
        if "openvino" in forms:
            forms["openvino int8"] = OpenVinoEngine(name, small).run
    return forms, size
