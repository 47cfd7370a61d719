"""Contact sheets, and the plot of identities."""

import numpy as np
import pytest
from record_files import damage

from gluonface.cli import main
from gluonface.data import VerificationPack, images
from gluonface.data.tools.inspect_plots import contact_sheet, plot_identities


@pytest.mark.parametrize("counts", [{5: 6}, {1: 3, 400: 2}, {}])
def test_the_plot_of_identities(tmp_path, counts):
    found = {"identities_with": counts, "identities": 6, "images": 30}
    plot_identities({**found, "images_each": {"median": 5}}, tmp_path / "x.png")
    image = images.decode((tmp_path / "x.png").read_bytes())
    assert (image != image[0, 0]).any()


def test_contact_sheet(made, tmp_path):
    faces = made(people=5, each=4)
    damage(faces, 2, b"\x89PNX", skip=32)
    contact_sheet(faces.folder, tmp_path / "sheet.png", rows=3, columns=2)
    sheet = images.decode((tmp_path / "sheet.png").read_bytes())
    expected = np.zeros((48, 32, 3), np.uint8)
    for row, first in enumerate((0, 8, 16)):
        for column in range(2):
            if (row, column) != (0, 1):
                part = faces.pixels[first + column]
                expected[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] = part
    np.testing.assert_array_equal(sheet, expected)


def test_contact_sheet_of_a_pack(tmp_path):
    encoded = [images.encode(np.full((24, 24, 3), 9 * n, np.uint8), 101) for n in range(10)]
    VerificationPack(encoded, [True, False] * 2 + [True]).save(tmp_path / "x.bin")
    words = ["data", "inspect", str(tmp_path / "x.bin"), "--sheet", str(tmp_path / "sheet.png")]
    assert main(words) == 0
    sheet = images.decode((tmp_path / "sheet.png").read_bytes())
    assert sheet.shape == (112, 10 * 112, 3)
    assert [sheet[50, 56 + 112 * n, 0] for n in range(10)] == [9 * n for n in range(10)]
    assert main([*words[:3], "--plot", str(tmp_path / "p.png")]) == 2
    assert main([*words[:3], "--sheet", str(tmp_path / "sheet.tga")]) == 2
    assert main([*words[:3], "--sheet", str(tmp_path / "no" / "sheet.png")]) == 2
