"""Readers of pairs, and how each of their files is damaged; see `mutations`."""

import lzma
import pickle

import mutations
import numpy as np
from pair_files import (
    PAIRS,
    WANTED,
    arrow_images,
    cell,
    lfw_line,
    path_of,
    write_arrow,
    write_cfp,
    write_mat,
    write_pack,
    write_people,
    write_rfw,
)
from torch_values import save

from gluonface.data import VerificationPack, open_pairs
from gluonface.data.sources.pairs.group_file import read_groups
from gluonface.evaluation.files.cvlface_sets import read_templates
from gluonface.evaluation.files.search_set import open_search_set


def used(pairs):
    """Read all images of pairs, and check what was read."""
    for number in range(len(pairs)):
        pairs.images(number)
    for values in (pairs.folds, pairs.groups):
        if values is not None and len(values) != len(pairs):
            raise AssertionError("another number of folds or groups")
    if len(pairs) > 1:
        pairs.fair_folds(2)
    return pairs


def opened(up=0, **options):
    """Return the reader of what lies so many folders above the damaged file."""
    return lambda path: used(open_pairs(path if not up else path.parents[up - 1], **options))


def listed(text):
    def make(folder):
        write_people(folder)
        (folder / "pairs.txt").write_text(text)
        return folder / "pairs.txt"

    return make


def tree(write, file):
    def make(folder):
        write(folder)
        return folder / file

    return make


def packed(values, protocol=4):
    def make(folder):
        (folder / "x.bin").write_bytes(pickle.dumps(values, protocol))
        return folder / "x.bin"

    return make


def own_pack(folder):
    pack = VerificationPack.load(write_pack(folder / "x.bin"))
    pack.folds, pack.groups = np.arange(8) // 4, ["a", "b"] * 4
    pack.save(folder / "x.bin")
    return folder / "x.bin"


def compressed(folder):
    data = write_pack(folder / "x.bin").read_bytes()
    (folder / "x.bin").write_bytes(lzma.compress(data))
    return folder / "x.bin"


def compressed_stream(data, rng):
    return lzma.compress(mutations.pickle_stream(lzma.decompress(data), rng))


def survface(folder):
    (folder / "verification_images").mkdir()
    write_people(folder / "verification_images", "{who}_{number}.jpg")
    for stem, kind in (("positive", True), ("negative", False)):
        rows = [
            [path_of(one, "{who}_{number}.jpg") for one in p[:2]] for p in PAIRS if p[2] == kind
        ]
        write_mat(folder / f"{stem}_pairs_names.mat", **{f"{stem}_pairs_names": cell(rows)})
    return folder / "positive_pairs_names.mat"


def agedb(folder):
    write_people(folder, "{who}_{number}.jpg")
    splits = np.empty((1, 1), object)
    names = [[{"name": path_of(p[side], "{who}_{number}"), "age": 3.0} for p in PAIRS]
             for side in (0, 1)]  # fmt: skip
    splits[0, 0] = {"images": cell(names), "labels": np.array([[1 if p[2] else -1 for p in PAIRS]])}
    import scipy.io

    scipy.io.savemat(folder / "p.mat", {"splits": splits}, do_compression=False)
    return folder / "p.mat"


def arrow(folder):
    flat = [one for pair in WANTED for one in pair]
    same = [one[2] for one in PAIRS for _ in (0, 1)]
    columns = {"image": arrow_images(flat), "index": list(range(16)), "is_same": same}
    write_arrow(folder / "lfw", columns, files=1)
    return folder / "lfw/data-00001.arrow"


def arrow_state(folder):
    return arrow(folder).with_name("state.json")


def pixels(folder):
    np.save(folder / "toy.npy", np.zeros((4, 3, 8, 8), np.uint8))
    (folder / "issame.txt").write_text("1\n0\n")
    return folder / "toy.npy"


def memory(folder):
    place = folder / "toy/memfile"
    place.mkdir(parents=True)
    (place / "mem_file.dat").write_bytes(np.zeros((4, 3, 8, 8), np.float32).tobytes())
    (place / "mem_file.dat.conf").write_text('{"shape": [4, 3, 8, 8], "dtype": "float32"}')
    np.save(folder / "toy_list.npy", np.array([True, False]))
    return place / "mem_file.dat.conf"


def templates(folder):
    place = write_arrow(
        folder / "ijb", {"image": arrow_images([b"a", b"b", b"c"]), "index": [0, 1, 2]}, files=1
    )
    values = {
        "faceness_scores": np.ones(3),
        "templates": np.array([1, 1, 2]),
        "medias": np.array([1, 2, 3]),
        "label": np.array([0, 1]),
        "p1": np.array([1, 2]),
        "p2": np.array([2, 2]),
    }
    return save(place / "metadata.pt", values)


def read_crops(path):
    images, pairs, crops = read_templates(path.parent)
    if len(images.template) != len(crops) or len(pairs.first) != len(pairs.same):
        raise AssertionError("lengths differ")


def search(folder):
    for stem, names, ids in (
        ("probe", ["1.jpg", "2.jpg"], [1, 2]),
        ("gallery_match", ["3.jpg"], [1]),
    ):
        (folder / stem).mkdir()
        for name in names:
            (folder / stem / name).write_bytes(b"x")
        variables = {"probe_set": cell([[name] for name in names]), "probe_ids": np.array(ids)}
        write_mat(folder / f"{stem}_img_ID_pairs.mat", **variables)
    return folder / "probe_img_ID_pairs.mat"


def read_search(path):
    found = open_search_set(path.parent)
    if len(found.probes) != len(found.probe_ids) or len(found.gallery) != len(found.gallery_ids):
        raise AssertionError("lengths differ")


def groups(folder):
    listed("\n".join(lfw_line(*one) for one in PAIRS))(folder)
    (folder / "groups.csv").write_text("identity,group\nAnn_Abel,f\nBo.Bird,m\nCy_Cole,f\n")
    return folder / "groups.csv"


def read_group_file(path):
    read_groups(path, open_pairs(path.with_name("pairs.txt")))


LABELLED = "".join(f"{path_of(a)}\t{path_of(b)}\t{int(s)}\n" for a, b, s in PAIRS)
FIRST = "".join(f"{int(s)} {path_of(a)} {path_of(b)}\n" for a, b, s in PAIRS)
TWO = "".join(f"{path_of(one)} {int(s)}\n" for a, b, s in PAIRS for one in (a, b))
FOLDERS = "".join(f"{path_of(one)}\n" for a, b, _ in PAIRS for one in (a, b))
TABLE = "fold,p1,p2,label,att1,att2\n" + "".join(
    f"{n % 2},{path_of(a)},{path_of(b)},{int(s)},x,y\n" for n, (a, b, s) in enumerate(PAIRS)
)
KAGGLE = "name,imagenum1,imagenum2,\n" + "".join(
    f"{lfw_line(a, b, s, ',')}{',' if s else ''}\n" for a, b, s in PAIRS
)
LFW = "2\t2\n" + "".join(lfw_line(*one) + "\n" for one in PAIRS)
FLAT = [one for pair in WANTED for one in pair]
SAME = [one[2] for one in PAIRS]
json_text, npy, table = mutations.json_text, mutations.npy, mutations.table
Reader = mutations.Reader

READERS = {
    "lfw list": Reader(listed(LFW), opened(), table),
    "labelled list": Reader(listed(LABELLED), opened(), table),
    "label first list": Reader(listed(FIRST), opened(), table),
    "two line list": Reader(listed(TWO), opened(), table),
    "folder list": Reader(listed(FOLDERS), opened(), table),
    "pair table": Reader(listed(TABLE), opened(), table),
    "kaggle table": Reader(listed(KAGGLE), opened(), table),
    "rfw": Reader(tree(write_rfw, "txts/Asian/Asian_pairs.txt"), opened(3), table),
    "cfp numbers": Reader(
        tree(write_cfp, "Protocol/Pair_list_P.txt"), opened(2, protocol="FP"), table
    ),
    "cfp split": Reader(
        tree(write_cfp, "Protocol/Split/FP/02/diff.txt"), opened(5, protocol="FP"), table
    ),
    "group file": Reader(groups, read_group_file, table),
    "pack": Reader(packed((FLAT, SAME)), opened(), mutations.pickle_stream),
    "pack of objects": Reader(
        packed((np.array(FLAT, object), np.array(SAME, float)), 2),
        opened(),
        mutations.pickle_stream,
    ),
    "own pack": Reader(own_pack, opened(), mutations.pickle_stream),
    "compressed pack": Reader(compressed, opened(), compressed_stream),
    "survface": Reader(survface, opened(1), mutations.some_bytes),
    "agedb": Reader(agedb, opened(), mutations.some_bytes),
    "arrow pairs": Reader(arrow, opened(1), mutations.some_bytes),
    "arrow state": Reader(arrow_state, opened(1), json_text),
    "pixels": Reader(pixels, opened(1), npy),
    "memory map": Reader(memory, opened(2, color="RGB"), json_text),
    "templates": Reader(
        templates, read_crops, mutations.members({".pkl": mutations.pickle_stream})
    ),
    "search set": Reader(search, read_search, mutations.some_bytes),
}
