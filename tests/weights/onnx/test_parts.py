"""The numbers of large tensors apart from the graph: what is checked is what an engine reads."""

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from onnx_nets import network, onnx

from gluonface.weights.onnx.parts import LEAST, OnnxParts, take_numbers
from gluonface.weights.onnx.wire_format import GRAPH, INITIALIZER, encode_field

LARGE = np.arange(LEAST // 4 + 1, dtype=np.float32)


def tensor(array, name="large"):
    return onnx.numpy_helper.from_array(array, name)


def read(content):
    """Return what protobuf makes of a file, None if it is none."""
    try:
        return onnx.load_model_from_string(content)
    except DecodeError:
        return None


def read_apart(content):
    """Return the same by way of the two functions, and what was taken out."""
    bare, numbers = take_numbers(content)
    model = read(bare)
    return None if model is None else OnnxParts(model, numbers).complete(), numbers


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_large_tensors_are_taken_out_and_put_back(kind):
    large = np.arange(LEAST, dtype=kind)
    model = network()
    model.graph.initializer.extend([tensor(large), tensor(LARGE[:4], "small")])
    content = model.SerializeToString()
    bare, numbers = take_numbers(content)
    assert bytes(numbers["large"]) == large.tobytes()
    assert "small" not in numbers
    assert len(bare) < len(content) - large.nbytes
    assert list(read(bare).graph.initializer[-2].dims) == [LEAST]
    assert read_apart(content)[0] == model
    parts = OnnxParts.of(read(content))
    assert parts.numbers == numbers
    assert parts.model == read(bare)
    assert parts.complete() == model


GRAPH_KEY = encode_field(GRAPH, b"")[:1]


def file_of(*tensors, key=GRAPH_KEY):
    """Return a file whose graph has more tensors, given as bytes."""
    model = network()
    graph = model.graph.SerializeToString()
    graph += b"".join(encode_field(INITIALIZER, content) for content in tensors)
    model.ClearField("graph")
    return model.SerializeToString() + key + encode_field(GRAPH, graph)[1:]


WHOLE = tensor(LARGE).SerializeToString()
NUMBERS = encode_field(9, LARGE.tobytes())
WITHOUT = WHOLE.replace(NUMBERS, b"")
UNUSUAL = {
    "two tensors of one name": file_of(WHOLE, WHOLE),
    "numbers twice": file_of(WHOLE + NUMBERS[:-4] + b"\0\0\0\1"),
    "another name": file_of(WHOLE + encode_field(8, b"v")),
    "another type": file_of(WHOLE + b"\x10\x0a"),
    "whole numbers": file_of(tensor(LARGE.astype(np.int64)).SerializeToString()),
    "no name": file_of(tensor(LARGE, None).SerializeToString()),
    "a name that is no text": file_of(tensor(LARGE, None).SerializeToString() + b"\x42\x01\xff"),
    "in another file": file_of(WHOLE + b"\x70\x01"),
    "numbers in a number": file_of(WITHOUT + b"\x48\x05"),
    "a group": file_of(WHOLE + b"\x1b\x1c"),
    "two graphs": file_of(WHOLE) + encode_field(GRAPH, network().graph.SerializeToString()),
    # Keys of more bytes than they need, and of a number that does not fit in 32 bits: parsers take
    # the one and differ about the other.
    "a long key of the graph": file_of(WHOLE, key=b"\xba\x00"),
    "a long key of the numbers": file_of(WITHOUT + b"\xca\x00" + NUMBERS[1:]),
    "a key beyond 32 bits": file_of(WITHOUT + b"\xca\x80\x80\x80\x10" + NUMBERS[1:]),
    "no length": file_of(WHOLE)[:-1],
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_written_in_an_unusual_way_is_parsed_whole(case):
    content = UNUSUAL[case]
    model, numbers = read_apart(content)
    assert "large" not in numbers
    assert model == read(content)


def _is_number(content):
    found = np.zeros(len(content), bool)
    for part in take_numbers(content)[1].values():
        start = content.index(bytes(part))
        while start >= 0:
            found[start : start + len(part)] = True
            start = content.find(bytes(part), start + 1)
    return found


def test_changed_files_are_read_the_same_in_both_ways():
    """Changes of the bytes that are no numbers, where keys, lengths and names stand."""
    random = np.random.default_rng(0)
    content = file_of(WHOLE, tensor(LARGE, "other").SerializeToString())
    places = np.flatnonzero(~_is_number(content))
    taken = 0
    for _ in range(3000):
        changed = bytearray(content)
        for place in random.choice(places, random.integers(1, 4)):
            changed[place] = random.integers(256)
        model, numbers = read_apart(bytes(changed))
        whole = read(bytes(changed))
        assert (model is None) == (whole is None)
        if model is not None and whole is not None:
            assert model.SerializeToString() == whole.SerializeToString()  # NaN is not NaN
            taken += bool(numbers)
    assert taken > 300
