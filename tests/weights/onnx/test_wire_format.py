import numpy as np
import pytest
from onnx_nets import network, onnx

from gluonface.weights.onnx.wire_format import encode_field, read_fields
from gluonface.weights.onnx_file import has_external_data


def test_fields_are_those_that_protobuf_writes():
    model = network()
    content = model.SerializeToString()
    (graph,) = [field for field in read_fields(content) if field.number == 7]
    assert content[graph.value : graph.end] == model.graph.SerializeToString()
    inside = list(read_fields(content, graph.value, graph.end))
    for number, messages in ((1, model.graph.node), (5, model.graph.initializer)):
        found = [content[f.value : f.end] for f in inside if f.number == number]
        assert found == [message.SerializeToString() for message in messages]
    assert b"".join(content[f.begin : f.end] for f in read_fields(content)) == content
    long = bytes(200)  # its length takes two bytes
    assert encode_field(5, long) == b"\x2a\xc8\x01" + long
    tensor = onnx.TensorProto(raw_data=long, name="x")
    assert encode_field(8, b"x") + encode_field(9, long) == tensor.SerializeToString()


@pytest.mark.parametrize(
    "content",
    [b"\x0b", b"\x0a", b"\x0a\x05abc", b"\x80" * 11, b"\x09\x01", b"\x0a\xff\xff\xff\xff\x0f"],
    ids=["group", "no length", "too long", "endless number", "half a number", "4 GiB"],
)
def test_what_is_no_message(content):
    with pytest.raises(ValueError, match="byte"):
        list(read_fields(content))


def test_random_bytes_end():
    random = np.random.default_rng(0)
    for size in random.integers(1, 60, 2000):
        content = random.integers(0, 256, size).astype(np.uint8).tobytes()
        try:
            fields = list(read_fields(content))
        except ValueError:
            continue
        assert fields[-1].end == len(content)


def test_files_that_name_others(tmp_path):
    model = network()
    assert not has_external_data(model.SerializeToString())
    model.graph.initializer[0].raw_data = b"location" * 4  # numbers are no names
    assert not has_external_data(model.SerializeToString())
    path = tmp_path / "x.onnx"
    onnx.save_model(network(), str(path), save_as_external_data=True, size_threshold=0)
    assert has_external_data(path.read_bytes())
    # In a constant of a node, which has its tensor in an attribute.
    model = network()
    tensor = onnx.TensorProto(name="t", data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="y")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=tensor))
    assert has_external_data(model.SerializeToString())
    # Where the message cannot be read, the word decides.
    assert has_external_data(b"\x0b location")
    assert not has_external_data(b"\x0b")
    # Two graphs, which protobuf joins.
    second = onnx.ModelProto()
    second.graph.initializer.append(tensor)
    assert has_external_data(network().SerializeToString() + second.SerializeToString())
