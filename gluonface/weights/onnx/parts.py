"""An ONNX network in two parts: its graph, and the numbers of its large tensors.

These are nearly all of a file. Checks do not look into them, and engines take them as memory. To
parse and to write a file of 65 million numbers takes 0.2 s each, and as much memory as it is large.
"""

from __future__ import annotations

import typing

from .wire_format import (
    DATA_TYPE,
    ELSEWHERE,
    GRAPH,
    INITIALIZER,
    NAME,
    RAW_DATA,
    Field,
    encode_field,
    encode_head,
    read_fields,
)

__all__ = ["LEAST", "OnnxParts", "take_numbers"]

LEAST = 8192  # bytes: of smaller tensors onnx's inference of shapes needs the numbers
FLOATS = (1, 10)  # types of tensors: float32 and float16; into whole numbers the checks look


class OnnxParts(typing.NamedTuple):
    """An ONNX network in two parts.

    Attributes
    ----------
    model : onnx.ModelProto
    numbers : dict of str to memoryview
        The values of tensors of the model that have none there, by their names, in the order and
        form of the field ``raw_data``.
    """

    model: typing.Any
    numbers: dict[str, memoryview]

    @classmethod
    def of(cls, model: typing.Any) -> OnnxParts:
        """Take a model apart, which lacks the numbers of its large tensors from then on."""
        numbers = {}
        for tensor in model.graph.initializer:
            if tensor.data_type in FLOATS and tensor.HasField("raw_data"):
                raw = tensor.raw_data
                if len(raw) > LEAST:
                    numbers[tensor.name] = memoryview(raw)
                    tensor.ClearField("raw_data")
        return cls(model, numbers)

    def complete(self) -> typing.Any:
        """Return the model, whose tensors have all their numbers from then on."""
        for tensor in self.model.graph.initializer:
            if tensor.name in self.numbers:
                tensor.raw_data = bytes(self.numbers[tensor.name])
        return self.model


def take_numbers(content: bytes) -> tuple[bytes, dict[str, memoryview]]:
    """Return an ONNX file without the numbers of its large tensors, and these by their names.

    Parameters
    ----------
    content : bytes
        Of the file.

    Returns
    -------
    bare : bytes
        What protobuf reads as the same model, but for the field ``raw_data`` of those tensors. The
        content itself if it is not written as programs write it, such as with two graphs or with
        two tensors of one name: then all is parsed.
    numbers : dict of str to memoryview
        They lie in `content`.
    """
    view = memoryview(content)
    parts: list[bytes | memoryview] = []
    numbers = {}
    try:
        fields = list(read_fields(content))
        graphs = [field for field in fields if field.number == GRAPH]
        if len(graphs) != 1 or not _is_plain(content, graphs[0]):
            return content, {}
        (graph,) = graphs
        for field in read_fields(content, graph.value, graph.end):
            found = _numbers_of(content, field) if field.number == INITIALIZER else None
            if found is None:
                parts.append(view[field.begin : field.end])
                continue
            name, raw = found
            if name in numbers:
                return content, {}
            numbers[name] = view[raw.value : raw.end]
            tensor = b"".join((view[field.value : raw.begin], view[raw.end : field.end]))
            parts.append(encode_field(INITIALIZER, tensor))
    except ValueError:  # the parser says what is wrong
        return content, {}
    head = encode_head(GRAPH, sum(map(len, parts)))
    return b"".join((view[: graph.begin], head, *parts, view[graph.end :])), numbers


def _numbers_of(content, tensor):
    """Return the name of a large tensor and the field of its numbers; None for another one."""
    if not _is_plain(content, tensor) or tensor.end - tensor.value <= LEAST:
        return None
    fields: dict[int, Field] = {}
    for field in read_fields(content, tensor.value, tensor.end):
        if field.number in (NAME, DATA_TYPE, RAW_DATA) and field.number in fields:
            return None  # protobuf takes the last
        fields[field.number] = field
    name, kind, raw = (fields.get(number) for number in (NAME, DATA_TYPE, RAW_DATA))
    if name is None or kind is None or raw is None or not fields.keys().isdisjoint(ELSEWHERE):
        return None
    if not (_is_plain(content, name) and _is_plain(content, raw)) or raw.end - raw.value <= LEAST:
        return None
    if content[kind.begin : kind.end] not in [bytes((DATA_TYPE << 3, one)) for one in FLOATS]:
        return None
    return content[name.value : name.end].decode(), raw


def _is_plain(content, field):
    """Return whether a field is of bytes, and its head is written in the shortest way."""
    return content[field.begin : field.value] == encode_head(field.number, field.end - field.value)
