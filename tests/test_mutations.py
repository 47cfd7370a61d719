"""The harness of damaged files itself: that it finds what it is there to find."""

import json
import os
import pickle
import random
import time

import mutations
import numpy as np
import pytest

from gluonface.errors import DataError


def make(folder):
    path = folder / "x"
    path.write_bytes(b'{"a": [1, 2, {"b": 3}], "c": "text"}')
    return path


def parsed(path):
    """Return the JSON of a file, as a careful reader does."""
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON: {type(error).__name__}") from None


def damaged(path):
    return path.read_bytes() != b'{"a": [1, 2, {"b": 3}], "c": "text"}'


def nameless(path):
    if damaged(path):
        raise DataError("it is damaged")


def reader(fault):
    def read(path):
        if damaged(path):
            fault()

    return mutations.Reader(make, read, mutations.json_text)


READERS = {
    "good": mutations.Reader(make, parsed, mutations.json_text),
    "raising": mutations.Reader(make, lambda path: parsed(path)["a"][2]["b"], mutations.json_text),
    "crashing": reader(os.abort),
    "exiting": reader(lambda: os._exit(0)),
    "hanging": reader(lambda: time.sleep(1000)),
    "hungry": reader(lambda: bytearray(3 << 30)),
    "nameless": mutations.Reader(make, nameless, mutations.json_text),
}


def test_a_good_reader(tmp_path):
    outcome = mutations.run("test_mutations", "good", 40, tmp_path)
    assert outcome.problems == []
    assert outcome.refused + outcome.read == 80
    assert outcome.refused > 20


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("raising", "Error"),
        ("crashing", "ends the process with -6"),
        ("exiting", "ends without a word"),
        ("hanging", "hangs for 1 s"),
        ("hungry", "MemoryError"),
        ("nameless", "no file named: it is damaged"),
    ],
)
def test_faults_are_found(tmp_path, name, sign):
    outcome = mutations.run("test_mutations", name, 1, tmp_path, seconds=1)
    if name == "raising":  # which of its mutations changes what it reads?
        outcome = mutations.run("test_mutations", name, 20, tmp_path)
    assert outcome.problems
    assert all(sign in problem for problem in outcome.problems), outcome.problems
    assert all(problem.startswith((f"{name} bytes ", f"{name} structure "))
               for problem in outcome.problems)  # fmt: skip


def test_mutations_can_be_made_again():
    data = b'{"a": [1, 2]}'
    for kind in mutations.KINDS:
        made = [mutations.mutated(READERS["good"], "good", kind, n, data) for n in range(30)]
        again = [mutations.mutated(READERS["good"], "good", kind, n, data) for n in range(30)]
        assert made == again
        assert len(set(made)) > 15
        assert data not in made


def saved(save, *arrays, **named):
    import io

    stream = io.BytesIO()
    save(stream, *arrays, **named)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("change", "data"),
    [
        (mutations.json_text, b'{"a": [1, 2, {"b": 3}]}'),
        (mutations.json_lines, b'{"a": 1}\n{"b": [2]}\n'),
        (mutations.table, b"a\t1\nb\t2\n"),
        (mutations.npy, saved(np.save, np.ones((3, 4), "f4"))),
        (mutations.members({".npy": mutations.npy}), saved(np.savez, a=np.ones(3), b=np.ones(2))),
        (mutations.pickle_stream, pickle.dumps({"a": [1, 2.0, "x"]}, 2)),
        (mutations.protobuf, bytes.fromhex("0801120548656c6c6f1a0408011001")),
    ],
)
def test_structure(change, data):
    made = {change(data, random.Random(number)) for number in range(200)}
    assert len(made) > 60
    assert len(made - {data}) > 60
