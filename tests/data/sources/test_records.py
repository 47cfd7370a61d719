"""A record set as a source: broken records are left out."""

import numpy as np
from packed_faces import QUIET, SIZE, content, face

from gluonface.data import RecordDataset, RecordWriter
from gluonface.data.tools.write_records import pack


def test_a_plain_set_with_broken_records_is_mended(tmp_path):
    with RecordWriter(tmp_path / "plain", plain=True) as writer:
        for n, label in enumerate((2, 0, 2, 1)):
            writer.add(face(n), label)
    rec = tmp_path / "plain" / "train.rec"
    data = bytearray(rec.read_bytes())
    at = RecordDataset(rec)._records.extent(1)[0] + 12
    data[at : at + 4] = np.float32(0.5).tobytes()  # a label that is no identity
    rec.write_bytes(data)
    found = pack(tmp_path / "plain", tmp_path / "good", size=SIZE, **QUIET)
    assert (found["source"], found["images"]) == ("records", 3)
    assert found["left_out"][0][0] == "record 1"
    assert [label for label, _ in content(tmp_path / "good")] == [0, 1, 1]
