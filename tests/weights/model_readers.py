"""The readers of model files, for `mutations`: each of a small file that it reads."""

import io
import json
import pathlib
import pickletools
import shutil
import struct

import numpy as np
import onnx
import torch_files
from deploy_nets import make_small
from mutations import Reader, json_text, members, npy, pickle_stream, protobuf, some_bytes

from gluonface.deploy import Embedder, export_model
from gluonface.model_zoo import get_model
from gluonface.weights import load_net, open_weights
from gluonface.weights.mxnet_params import params_bytes, read_params

PICTURES = np.zeros((3, 112, 112, 3), np.uint8)


def exported(folder, onnx=False):
    return export_model(make_small(), folder / "small", onnx=onnx, card={"name": "small"})


def of_prefix(role):
    """Return what writes a small model, of which one file is to be damaged."""
    return lambda folder: exported(folder)[role]


def run_prefix(path):
    """Load and run the model that a file belongs to."""
    return Embedder.load(path.parent / "small", "cpu", "mxnet").embed(PICTURES)


def tensors(path):
    """Read everything that an import reads of a file of weights."""
    weights = open_weights(path)
    return weights.arrays, weights.embedding_size, weights.sha256, weights.pixels


# --- MXNet's parameters


def params_fields(data, rng):
    """Change one of the numbers before the values of an array, or of its name."""
    arrays = read_params("x", data)
    whole, starts, at = params_bytes(arrays), [0, 8, 16], 24
    assert whole == data
    for array in arrays.values():
        ndim = array.ndim
        starts += [at, at + 4, at + 8, *range(at + 12, at + 12 + 8 * ndim, 8)]
        at += 12 + 8 * ndim
        starts += [at, at + 4, at + 8]
        at += 12 + array.nbytes
    starts.append(at)
    at += 8
    for name in arrays:
        starts.append(at)
        at += 8 + len(name)
    place, data = rng.choice(starts), bytearray(data)
    kind, size = rng.choice(((">", 4), ("<", 4), ("<", 8), ("<", 8)))
    values = (0, 1, 2, 7, 8, 99, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**61, 2**63, 2**64 - 1)
    value = rng.choice(values) % (1 << 8 * size)
    data[place : place + size] = struct.pack(kind + {4: "I", 8: "Q"}[size], value)
    return bytes(data)


# --- PyTorch


def torch_file(write, legacy=False):
    def make(folder):
        random = np.random.default_rng(0)
        content = {
            "conv1.weight": torch_files.Written(random.normal(size=(8, 3, 3, 3)).astype("f4")),
            "bn.running_mean": torch_files.Written(random.normal(size=8).astype("f2")),
            "bn.num_batches_tracked": torch_files.Written(np.array(7, "i8")),
            "fc.weight": torch_files.Written(random.normal(size=(16, 8)).astype("f8")),
        }
        with torch_files.stand_in():
            return write(folder / "a.pth", torch_files.checkpoint(content))

    return make


def pickles(data, rng):
    """Change one of the pickles of a file of PyTorch's before 1.6, or what follows them."""
    stream, starts = io.BytesIO(data), [0]
    for _ in range(5):
        for _ in pickletools.genops(stream):
            pass
        starts.append(stream.tell())
    place = rng.choice((0, 1, 2, 3, 3, 3, 3, 4, 5))
    head, rest = data[: starts[place]], data[starts[place] :]
    return head + (some_bytes(rest, rng) if place == 5 else pickle_stream(rest, rng))


# --- safetensors


def safetensors_file(folder):
    path = folder / "a.safetensors"
    arrays = {f"conv{n}.weight": np.full((4, 2, n), 0.5, "f4") for n in range(1, 4)}
    header, numbers = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        offsets = [len(numbers), len(numbers) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        numbers += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    return path


def safetensors_header(data, rng):
    """Change the header, and sometimes what is said of its length."""
    length = int.from_bytes(data[:8], "little")
    header, numbers = json_text(data[8 : 8 + length], rng), data[8 + length :]
    length = len(header)
    if rng.random() < 0.1:
        length = rng.choice((0, 1, length - 1, length + 1, 1 << 40, (1 << 64) - 1))
    return length.to_bytes(8, "little") + header + numbers


# --- ONNX


def onnx_file(folder):
    return exported(folder, onnx=True)["onnx"]


def onnx_alone(folder):
    """An ONNX file without a card beside it, small enough that its structure is what is hit."""
    path = onnx_file(folder)
    (folder / "small.json").unlink()
    model = onnx.load(str(path))
    constant = onnx.helper.make_node(
        "Constant", [], ["half"], value=onnx.numpy_helper.from_array(np.float32(0.5))
    )
    model.graph.node.insert(0, constant)
    last = model.graph.node[-1]
    final, last.output[0] = last.output[0], "before"
    model.graph.node.append(onnx.helper.make_node("Mul", ["before", "half"], [final]))
    onnx.save_model(model, str(path))
    return path


def run_onnx(engine):
    return lambda path: Embedder.load(path, "cpu", engine).embed(PICTURES)


def layers(path):
    weights = open_weights(path)
    return weights.arrays, weights.layers, weights.embedding_size, weights.pixels, weights.sha256


# --- a run that is not finished, and its checkpoint


def run_folder(folder):
    """A run without an export, as a stopped one leaves it."""
    import tiny  # noqa: F401  (registers the backbone)

    net = get_model("tiny")
    net.initialize()
    values = net._collect_params_with_prefix().items()
    (folder / "checkpoints/last").mkdir(parents=True)
    file = folder / "checkpoints/last/backbone.params"
    file.write_bytes(params_bytes({name: value.data().asnumpy() for name, value in values}))
    config = folder / "config.yaml"
    config.write_text(json.dumps({"model": {"name": "tiny", "embedding_size": 8}}))
    return config


_TRAINERS: dict = {}


def _trainer(loss="adaface"):
    """Return a trainer of few classes, made once."""
    if loss not in _TRAINERS:
        import tempfile

        import tiny  # noqa: F401  (registers the backbone)
        from state_cases import make
        from training_fixtures import write_noise

        folder = pathlib.Path(tempfile.mkdtemp())
        _TRAINERS[loss] = make(write_noise(folder), loss)
        _TRAINERS[loss].fit()
        shutil.rmtree(folder, ignore_errors=True)
    return _TRAINERS[loss]


def checkpoint(name):
    def make(folder):
        from gluonface.training.checkpoint.checkpoints import save_state

        save_state(folder, _trainer())
        return folder / name

    return make


def resume(path):
    """Resume from a checkpoint, and export its centres."""
    from gluonface.training.checkpoint.checkpoints import load_state
    from gluonface.training.checkpoint.class_rows import export_centers

    load_state(path.parent, _trainer())
    export_centers(path.parent, path.parent / "centers.npy")


def unchecked(read):
    """Let the checksums of the manifest be those of the files as they are, itself included."""
    from gluonface.training.checkpoint.integrity import MANIFEST, file_entry, write_manifest

    def reading(path):
        try:
            document = json.loads((path.parent / MANIFEST).read_text())
            document.pop("sha256")
            if path.name != MANIFEST:
                document["files"][path.name] = file_entry(path)
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
            return read(path)
        (path.parent / MANIFEST).unlink()
        write_manifest(path.parent, document)
        return read(path)

    return reading


READERS = {
    "symbol": Reader(of_prefix("symbol"), run_prefix, json_text),
    "params": Reader(of_prefix("params"), run_prefix, params_fields),
    "card": Reader(of_prefix("card"), run_prefix, json_text),
    "onnx graph": Reader(onnx_file, layers, protobuf),
    "onnx openvino": Reader(onnx_alone, run_onnx("openvino"), protobuf),
    "onnx onnxruntime": Reader(onnx_alone, run_onnx("onnxruntime"), protobuf),
    "torch zip": Reader(
        torch_file(torch_files.write_zip), tensors, members({"data.pkl": pickle_stream})
    ),
    "torch legacy": Reader(torch_file(torch_files.write_legacy), tensors, pickles),
    "safetensors": Reader(safetensors_file, tensors, safetensors_header),
    "run folder": Reader(run_folder, lambda path: load_net(path.parent), json_text),
    "manifest": Reader(checkpoint("manifest.json"), unchecked(resume), json_text),
    "centres": Reader(checkpoint("head-weight-000000000.npy"), unchecked(resume), npy),
    "backbone": Reader(checkpoint("backbone.params"), unchecked(resume), params_fields),
    "optimizer": Reader(checkpoint("backbone.npz"), unchecked(resume), members({".npy": npy})),
}
