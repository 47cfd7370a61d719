"""Columns of tables, and identities of their rows."""

import pytest

from gluonface.data.sources.tables.table_columns import (
    RowIdentities,
    TableColumns,
    choose_columns,
)
from gluonface.errors import DataError, InputError

pa = pytest.importorskip("pyarrow")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def chosen(fields, features=None, **columns):
    found = choose_columns(pa.schema(fields), "x", columns, None, features)
    return found.image, found.struct, found.identity, found.classes


def test_descriptions_of_hugging_face_come_first():
    fields = [("photo", IMAGE), ("mask", IMAGE), ("who", pa.int64()), ("label", pa.int64())]
    features = {
        "photo": {"_type": "Image"},
        "who": {"_type": "ClassLabel", "num_classes": 2, "names": ["a", "b"]},
    }
    assert chosen(fields, features) == ("photo", True, "who", ["a", "b"])
    assert chosen(fields, features, identity="label") == ("photo", True, "label", None)
    with pytest.raises(InputError, match="photo and mask may be the image"):
        chosen(fields)
    with pytest.raises(DataError, match="are no list of text"):
        chosen(fields, {**features, "who": {"_type": "ClassLabel", "names": [1]}})
    with pytest.raises(InputError, match=r"label.* is there twice"):
        chosen([*fields, ("label", pa.int64())], features)


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": []}}'])
def test_descriptions_that_are_none(text):
    schema = pa.schema([("image", pa.binary()), ("label", pa.int64())], {b"huggingface": text})
    assert choose_columns(schema, "x", {}, None).identity == "label"


def test_labels_of_text_in_several_parts():
    rows = RowIdentities(TableColumns("image", True, "who", None, []), "x")
    rows.add(pa.table({"who": ["b", None]}))
    rows.add(pa.table({"who": pa.array(["a", "b"]).dictionary_encode()}))
    labels, keys, groups = rows.finish()
    assert (labels.tolist(), keys, groups) == ([1, -1, 0, 1], ["a", "b"], None)
