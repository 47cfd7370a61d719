"""Packs as pairs."""

import pytest
from pair_files import PAIRS, SAME, WANTED, check, content, write_pack, write_people

from gluonface.data import VerificationPack, open_pairs
from gluonface.data.tools.write_pack import pack_pairs
from gluonface.errors import InputError


def test_one_pack(tmp_path):
    pairs = open_pairs(write_pack(tmp_path / "lfw.bin"))
    check(pairs)
    assert (pairs.name, pairs.inputs) == ("lfw", {})
    assert pairs.sha256 == VerificationPack.load(tmp_path / "lfw.bin").sha256
    assert pairs.image(0).shape == (112, 112, 3)  # packs are brought to size, as ever


def test_several_packs_are_groups(tmp_path):
    paths = [write_pack(tmp_path / f"{race}_test.bin") for race in ("Asian", "African")]
    pairs = open_pairs(paths)
    assert content(pairs) == WANTED * 2
    assert pairs.issame.tolist() == SAME * 2
    assert pairs.groups == ["Asian"] * 8 + ["African"] * 8
    assert pairs.group_lists
    assert list(pairs.inputs) == ["Asian_test", "African_test"]
    with pytest.raises(InputError, match="two packs have one name"):
        open_pairs([paths[0], paths[0]])


def test_a_pack_of_a_list_keeps_folds_and_groups(tmp_path):
    people = write_people(tmp_path / "people")
    rows = [f"{a[0]}/{a[0]}_{a[1]:04d},{b[0]}/{b[0]}_{b[1]:04d},{int(s)},{n // 4 + 5},g{n % 3}"
            for n, (a, b, s) in enumerate(PAIRS)]  # fmt: skip
    (tmp_path / "x.csv").write_text("img1,img2,same,fold,group\n" + "\n".join(rows))
    out = tmp_path / "out.bin"
    pack_pairs(tmp_path / "x.csv", people, out, 24, progress=False)
    check(open_pairs(out), [5] * 4 + [6] * 4, [f"g{n % 3}" for n in range(8)])
