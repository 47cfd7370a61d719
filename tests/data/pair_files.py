"""Small sets of pairs, in the forms in which people hold them, with what is in them."""

import json
import pathlib
import pickle

import numpy as np
from packed_faces import face

ANN, BO, CY = "Ann_Abel", "Bo.Bird", "Cy_Cole"
# first, second, same: two folds of two same and two different pairs
PAIRS = [
    ((ANN, 1), (ANN, 2), True),
    ((BO, 1), (BO, 3), True),
    ((ANN, 2), (BO, 1), False),
    ((CY, 1), (BO, 2), False),
    ((ANN, 1), (ANN, 3), True),
    ((CY, 1), (CY, 2), True),
    ((ANN, 3), (CY, 2), False),
    ((BO, 3), (ANN, 1), False),
]
SAME = [same for *_, same in PAIRS]
FOLDS = [0] * 4 + [1] * 4


def image(who, number):
    """Return the bytes of an image of a person; every one is another."""
    return face((ANN, BO, CY).index(who) * 10 + number)


def write_people(root, name="{who}/{who}_{number:04d}.png"):
    """Write three images of each person below `root`; return it."""
    for who in (ANN, BO, CY):
        for number in (1, 2, 3):
            path = pathlib.Path(root) / name.format(who=who, number=number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image(who, number))
    return pathlib.Path(root)


def path_of(one, name="{who}/{who}_{number:04d}.png"):
    return name.format(who=one[0], number=one[1])


def lfw_line(first, second, same, mark="\t"):
    fields = [first[0], first[1], *([second[1]] if same else second)]
    return mark.join(map(str, fields))


def content(pairs):
    """Return the images of all pairs."""
    return [pairs.images(i) for i in range(len(pairs))]


WANTED = [(image(*first), image(*second)) for first, second, _ in PAIRS]


def check(pairs, folds=None, groups=None):
    """Assert that these are `PAIRS`."""
    assert content(pairs) == WANTED
    assert pairs.issame.tolist() == SAME
    assert (None if pairs.folds is None else pairs.folds.tolist()) == folds
    assert pairs.groups == groups


def write_cfp(root):
    """Write a CFP tree: people 1 to 3, frontal 1 to 3 and profile 1 to 2. Its lists are mixed."""
    lists = {"F": [], "P": []}
    for number, who in enumerate((ANN, BO, CY), 1):
        for side, kind, count in (("F", "frontal", 3), ("P", "profile", 2)):
            for place in range(1, count + 1):
                path = root / f"Data/Images/{number:03d}/{kind}/{place:02d}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(image(who, place if side == "F" else place + 3))
                lists[side].append(f"../{path.relative_to(root).as_posix()}")
    for side, names in lists.items():
        file = root / f"Protocol/Pair_list_{side}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{number} {name}" for number, name in enumerate(names, 1)]
        file.write_text("\r\n".join(reversed(lines)) + "\r\n")
    for protocol, folds in CFP.items():
        for fold, kinds in folds.items():
            for kind, pairs in kinds.items():
                file = root / f"Protocol/Split/{protocol}/{fold}/{kind}.txt"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text("".join(f"{a},{b}\n" for a, b in pairs))
    return root


CFP = {
    "FF": {
        "01": {"same": [(1, 2), (4, 5)], "diff": [(1, 4), (7, 2)]},
        "02": {"same": [(7, 9)], "diff": [(3, 6)]},
        "10": {"same": [(8, 9)], "diff": [(9, 1)]},
    },
    "FP": {
        "01": {"same": [(1, 1), (4, 3)], "diff": [(1, 3), (7, 2)]},
        "02": {"same": [(7, 6)], "diff": [(3, 4)]},
        "10": {"same": [(8, 5)], "diff": [(9, 1)]},
    },
}


def cfp_pairs(protocol):
    """Return (first, second, same, fold) of a protocol, in the order of the files."""
    sides = {
        "F": [image(who, n) for who in (ANN, BO, CY) for n in (1, 2, 3)],
        "P": [image(who, n + 3) for who in (ANN, BO, CY) for n in (1, 2)],
    }
    one, other = (sides[side] for side in protocol)
    return [
        (one[a - 1], other[b - 1], kind == "same", fold)
        for fold, kinds in enumerate(CFP[protocol].values())
        for kind, pairs in kinds.items()
        for a, b in pairs
    ]


def write_rfw(root, races=("Asian", "African")):
    """Write an RFW tree: `PAIRS` for each race."""
    for race in races:
        write_people(root / "data" / race, "{who}/{who}_{number:04d}.jpg")
        place = root / "txts" / race
        place.mkdir(parents=True)
        (place / f"{race}_pairs.txt").write_text("\n".join(lfw_line(*one) for one in PAIRS))
        (place / f"{race}_people.txt").write_text("not read\n")
    return root


def write_pack(path, **values):
    value = ([data for pair in WANTED for data in pair], SAME)
    path.write_bytes(pickle.dumps(value, 4))
    return path


def write_arrow(folder, columns, files=2, splits=None):
    """Write what `save_to_disk` writes: Arrow streams, named in an order of their own."""
    import pyarrow as arrow

    if splits:
        for split in splits:
            write_arrow(folder / split, columns, files)
        (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
        return folder
    folder.mkdir(parents=True)
    table = arrow.table(columns)
    names = []
    for part in range(files):
        low, high = (len(table) * k // files for k in (part, part + 1))
        names.append(f"data-{files - part:05d}.arrow")
        with (folder / names[-1]).open("wb") as sink:
            writer = arrow.ipc.new_stream(sink, table.schema)
            writer.write_table(table.slice(low, high - low))
            writer.close()
    state = {"_data_files": [{"filename": name} for name in names]}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def arrow_images(encoded):
    return [{"bytes": data, "path": "x.png"} for data in encoded]


def write_mat(path, **variables):
    import scipy.io

    scipy.io.savemat(path, variables, do_compression=True)
    return path


def cell(rows):
    """Return texts, row by row, as a cell of MATLAB."""
    result = np.empty((len(rows), len(rows[0])), object)
    for place, row in enumerate(rows):
        result[place] = list(row)
    return result
