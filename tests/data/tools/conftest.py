"""Folders of people and the set packed from them."""

import pytest
from packed_faces import COUNTS, QUIET, SIZE, face

from gluonface.data.tools.write_records import pack


@pytest.fixture
def people(tmp_path):
    root = tmp_path / "people"
    for person, count in COUNTS.items():
        (root / person).mkdir(parents=True)
        for n in range(count):
            (root / person / f"{n}.png").write_bytes(face(len(person) * 100 + n + count * 10))
    return root


@pytest.fixture
def packed(people, tmp_path):
    pack(people, tmp_path / "set", size=SIZE, **QUIET)
    return tmp_path / "set"
