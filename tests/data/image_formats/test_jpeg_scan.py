"""JPEGs that are damaged in the middle, by the compiled scan and by its slow twin."""

import io

import numpy as np
import pytest
from reference.jpeg_scan import find_jpeg_damage as twin

from gluonface.data import images
from gluonface.data.image_formats import jpeg_scan
from gluonface.data.image_formats.jpeg_scan import find_jpeg_damage
from gluonface.data.tools.write_records import pack
from gluonface.errors import DataError

Image = pytest.importorskip("PIL.Image")

FORMS = {
    "420": {"quality": 90},
    "422": {"quality": 90, "subsampling": 1},
    "444": {"quality": 75, "subsampling": 0},
    "tables of its own": {"quality": 80, "optimize": True},
    "restarts": {"quality": 90, "restart_marker_blocks": 3},
    "progressive": {"quality": 90, "progressive": True},
    "progressive 444": {"quality": 60, "progressive": True, "subsampling": 0},
    "grey": {"quality": 90},
}


@pytest.fixture(autouse=True)
def _compiled():
    if jpeg_scan._scan() is None:
        pytest.skip("there is no C++ compiler")


def picture(width, height, seed=0):
    """A smooth picture with noise: blocks with few coefficients and blocks with many."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    image = np.kron(small, np.ones((8, 8, 1), np.uint8))[:height, :width]
    return np.clip(image + rng.integers(0, 25, image.shape), 0, 255).astype(np.uint8)


def jpeg(form, width=96, height=80, seed=0):
    image = Image.fromarray(picture(width, height, seed))
    file = io.BytesIO()
    (image.convert("L") if form == "grey" else image).save(file, "JPEG", **FORMS[form])
    return file.getvalue()


def damages(data, rng):
    """Yield a JPEG with bytes in the middle replaced, zeroed and cut out."""
    at = len(data) * 3 // 4 + int(rng.integers(-100, 100))  # past the headers
    yield data[:at] + rng.bytes(60) + data[at + 60 :]
    yield data[:at] + bytes(120) + data[at + 120 :]
    yield data[:at] + data[at + 90 :]
    yield data[:at] + b"\xff\xd9"  # cut, and closed


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [(96, 80), (57, 33), (8, 8), (1, 1)])
def test_whole_images_of_every_form_pass(form, size):
    for seed in range(3):
        data = jpeg(form, *size, seed)
        assert find_jpeg_damage(data) is None
        assert twin(data) is None


@pytest.mark.parametrize("form", FORMS)
def test_damage_in_the_middle_is_found_as_by_the_twin(form):
    rng = np.random.default_rng(1)
    data, found = jpeg(form, 160, 144), 0
    for _ in range(6):
        for damaged in damages(data, rng):
            answer = find_jpeg_damage(damaged)
            assert (answer is None) == (twin(damaged) is None)
            found += answer is not None
    assert found >= 18  # of 24; some damages are other codes of the same length


def test_no_file_ends_the_process():
    """Bytes anywhere, headers too, and cuts at every length."""
    rng = np.random.default_rng(2)
    for form in FORMS:
        data = jpeg(form, 40, 40)
        for _ in range(300):
            changed = bytearray(data)
            for _ in range(int(rng.integers(1, 6))):
                changed[int(rng.integers(2, len(data)))] = int(rng.integers(256))
            find_jpeg_damage(bytes(changed))
        for end in range(0, len(data), 7):
            find_jpeg_damage(data[:end])


def test_damaged_jpegs_are_refused_and_left_out(tmp_path, monkeypatch):
    data = jpeg("420", 112, 112)
    broken = data[: len(data) // 2] + bytes(300) + data[len(data) // 2 + 300 :]
    with pytest.raises(DataError, match="it is a damaged JPEG: its compressed data"):
        images.decode(broken)
    (tmp_path / "people/ann").mkdir(parents=True)
    (tmp_path / "people/ann/whole.jpg").write_bytes(data)
    (tmp_path / "people/ann/broken.jpg").write_bytes(broken)
    found = pack(tmp_path / "people", tmp_path / "set", progress=False)
    assert found["images"] == 1
    assert "broken.jpg" in found["left_out"][0][0]
    assert "damaged JPEG" in found["left_out"][0][1]
    monkeypatch.setenv("GLUONFACE_NATIVE", "0")
    jpeg_scan._scan.cache_clear()
    assert images.decode(broken).shape == (112, 112, 3)  # as OpenCV has it
    jpeg_scan._scan.cache_clear()
