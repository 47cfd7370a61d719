"""Small stand-ins for the sets, models and runs that the commands of the pages name."""

import contextlib
import csv
import io
import os
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
import torch_files
from conftest import SHARED
from doc_pages import DOCS
from page_commands import commands_of, run
from recognition_cases import people_images, write_people

from gluonface.data import RecordDataset, RecordWriter, VerificationPack, images, synthesize

FACES = people_images(12, 4)  # crops of 12 people, four of each


class Library:
    """Makes each stand-in once, when it is first asked for."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def get(self, name):
        """Return the path of a stand-in."""
        path = self.folder / name
        if not path.exists():
            MAKERS[name](self, path)
        return path

    def place(self, name, target):
        """Copy a stand-in to where a page expects it."""
        source, target = self.get(name), pathlib.Path(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / "model-symbol.json").exists():  # an export: its prefix stands for three files
            for file in source.iterdir():
                shutil.copy(file, target.with_name(file.name.replace("model", target.name, 1)))
        elif source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


@contextlib.contextmanager
def working_in(folder):
    """Work in a folder; `contextlib.chdir` came with Python 3.11."""
    before = os.getcwd()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


# --- faces --------------------------------------------------------------------------------------


def write_records(library, path):
    with RecordWriter(path) as writer:
        for person, own in enumerate(FACES):
            for face in own:
                writer.add(images.encode(face, 101), person)


def write_pack(library, path):
    """20 pairs of one person and 20 of two, in turn."""
    first, second = FACES[:10, :2].reshape(20, 112, 112, 3), FACES[:10, 2:].reshape(20, 112, 112, 3)
    pairs = [
        (a, b) for k in range(20) for a, b in ((first[k], second[k]), (first[k], second[k - 2]))
    ]
    bins = [images.encode(face, 101) for pair in pairs for face in pair]
    VerificationPack(bins, [k % 2 == 0 for k in range(40)], name=path.stem).save(path)


def write_crops(library, path):
    write_people(path, FACES, ".jpg")


def write_crowd(library, path):
    """Write 34 people: an FPIR of 0.1 needs 30, and weak faces are not enrolled."""
    write_people(path, people_images(34, 2), ".jpg")


def write_flat(library, path):
    """Write the crops without folders of people."""
    path.mkdir()
    for k, face in enumerate(FACES.reshape(-1, 112, 112, 3)):
        (path / f"{k}.jpg").write_bytes(images.encode(face, 101))


def write_drawn(library, path):
    synthesize(path, 12, 2, test_identities=20, pairs=20, workers=1)


def write_photographs(library, path):
    """Write drawn faces with a margin around them: four people to test, eight to train."""
    from gluonface._compat import cv2

    drawn = RecordDataset(library.get("drawn"), cache=0)
    for i in range(len(drawn)):
        image, label = drawn[i]
        person = path / ("test" if label < 4 else "train") / f"person{label}"
        person.mkdir(parents=True, exist_ok=True)
        scene = cv2.copyMakeBorder(image[..., ::-1], 30, 20, 35, 25, cv2.BORDER_REPLICATE)
        cv2.imwrite(str(person / f"{i}.jpg"), scene)


def write_snapshots(library, path):
    """Write the same without the folders `test` and `train`."""
    for part in library.get("photographs").iterdir():
        shutil.copytree(part, path, dirs_exist_ok=True)


def write_points(library, path):
    """Write the landmarks of the photographs, where the crop of a drawn face has them."""
    from gluonface.data.alignment import TEMPLATE

    points = " ".join(f"{value:.2f}" for value in (TEMPLATE + np.array([35, 30])).ravel())
    photographs = library.get("photographs")
    names = [file.relative_to(photographs).as_posix() for file in photographs.rglob("*.jpg")]
    path.write_text("".join(f"{name} {points}\n" for name in names))


def write_pairs(library, path):
    """Write lines `image,image,same` of the crops without folders."""
    lines = [f"{4 * k}.jpg,{4 * k + 1}.jpg,1\n{4 * k}.jpg,{4 * k + 6}.jpg,0\n" for k in range(11)]
    path.write_text("".join(lines))


def write_picture(number):
    """Return a maker of a picture of the first person."""
    return lambda library, path: path.write_bytes(images.encode(FACES[0, number], 101))


# --- what docs/data.rst names -------------------------------------------------------------------


def write_faces_list(library, path):
    path.write_text("".join(f"{k}.jpg\t{k // 4}\n" for k in range(48)))


def write_damaged(library, path):
    """Write `train.rec` and `train.idx` with one broken image."""
    records = library.get("records")
    rec = bytearray((records / "train.rec").read_bytes())
    at = rec.index(RecordDataset(records, cache=0).record(1)[1])
    rec[at : at + 2] = b"xx"  # no image any more
    path.mkdir()
    (path / "damaged.rec").write_bytes(rec)
    shutil.copy(records / "train.idx", path / "damaged.idx")


def write_shards(library, path):
    faces = FACES.reshape(-1, 112, 112, 3)
    path.mkdir()
    for number in range(100):
        with tarfile.open(path / f"ms1mv3-{number:04d}.tar", "w") as tar:
            place = number % len(faces)
            content = images.encode(faces[place], 101)
            for name, data in (("jpg", content), ("cls", str(place // 4).encode())):
                member = tarfile.TarInfo(f"{number}.{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def write_same(library, path):
    path.write_text("set,identity,set,identity\n1,0,0,0\n")


# --- lists of the evaluation pages --------------------------------------------------------------


def write_face_list(people, group=None):
    """Return a maker of lines `path identity [group]` of crops of some people."""

    def write(library, path):
        lines = []
        for person in people:
            own = f" {group[person % len(group)]}" if group else ""
            lines += [f"person{person:02d}/{k}.jpg person{person:02d}{own}\n" for k in range(4)]
        path.write_text("".join(lines))

    return write


def write_janus(library, path):
    """Write an IJB-C of 8 subjects, each with a gallery and two probe templates of one image."""
    meta, loose = path / "meta", path / "loose_crop"
    meta.mkdir(parents=True)
    loose.mkdir()
    points = "38.3 51.7 73.5 51.5 56.0 71.7 41.5 92.4 70.7 92.2 0.9"
    for k in range(24):
        (loose / f"{k}.jpg").write_bytes(images.encode(FACES[k % 8, k // 8], 101))
    header = "TEMPLATE_ID,SUBJECT_ID,FILENAME"
    rows = [f"{k},{k % 8},{k}.jpg" for k in range(24)]
    files = {
        "face_tid_mid.txt": [f"{k}.jpg {k} {k}" for k in range(24)],
        "name_5pts_score.txt": [f"{k}.jpg {points}" for k in range(24)],
        "template_pair_label.txt": [
            f"{a} {b} {int(a == b % 8)}" for a in range(8) for b in range(8, 24)
        ],
        "1N_gallery_G1.csv": [header, *rows[:4]],
        "1N_gallery_G2.csv": [header, *rows[4:8]],
        "1N_probe_mixed.csv": [header, *rows[8:]],
    }
    for name, lines in files.items():
        (meta / f"ijbc_{name}").write_text("\n".join(lines) + "\n")


def write_lfw_images(path):
    for person, own in enumerate(FACES):
        name = f"Name_{person:02d}"
        (path / name).mkdir(parents=True)
        for k, face in enumerate(own):
            (path / name / f"{name}_{k + 1:04d}.jpg").write_bytes(images.encode(face, 101))


def lfw_lines():
    """Return 20 pairs of one person and 20 of two in LFW's form."""
    lines = []
    for k in range(20):
        lines.append(f"Name_{k % 10:02d}\t{1 + k // 10}\t{3 + k // 10}")
        lines.append(f"Name_{k % 10:02d}\t{1 + k // 10}\tName_{k % 10 + 2:02d}\t{3 + k // 10}")
    return "\n".join(lines)


def write_rfw(library, path):
    """Write RFW's `data` and `txts`."""
    for race in ("African", "Asian", "Caucasian", "Indian"):
        write_lfw_images(path / "data" / race)
        (path / "txts" / race).mkdir(parents=True)
        (path / "txts" / race / f"{race}_pairs.txt").write_text(lfw_lines())


def write_rfw_aligned(library, path):
    shutil.copytree(library.get("rfw") / "data", path)


def write_bfw(library, path):
    """Write BFW's table: the columns of its release that say who is on which image."""
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["fold", "p1", "p2", "label", "att1", "att2"])
        for k in range(40):
            person, other = k % 10, (k % 10 + k % 2) % 12
            group = ["asian_females", "white_males"][person % 2]
            other_group = ["asian_females", "white_males"][other % 2]
            first, second = f"person{person:02d}/0.jpg", f"person{other:02d}/{1 + k % 3}.jpg"
            rows.writerow([k % 5 + 1, first, second, int(person == other), group, other_group])


def write_lfw(library, path):
    """Write LFW's `pairs.txt` and images, and a group for each of its people."""
    path.mkdir()
    write_lfw_images(path / "lfw-aligned")
    (path / "pairs.txt").write_text(lfw_lines())
    rows = [f"Name_{person:02d},{'xy'[person % 3 % 2]}" for person in range(12)]
    (path / "people.csv").write_text("\n".join(["identity,group", *rows]))


def write_demogpairs(library, path):
    """Write lists of images for each group, as DemogPairs has them."""
    (path / "metadata").mkdir(parents=True)
    for group, people in (("Asian_Females", range(6)), ("White_Males", range(6, 12))):
        names = [f"person{person:02d}/{k}.jpg" for person in people for k in range(4)]
        (path / f"metadata/{group}.txt").write_text("\n".join(names))


# --- models -------------------------------------------------------------------------------------


def write_run(library, path):
    """Run the first command of the training page."""
    _, command = next(commands_of(DOCS / "training.rst"))
    with working_in(library.folder / "training"):
        for name in ("lfw.bin", "cfp_fp.bin"):
            library.place("pack", name)
        library.place("records", "emore")
        run(command)
        shutil.copytree("runs/first", path, symlinks=True)


def write_export(library, path):
    path.mkdir()
    for file in (library.get("run") / "export").glob("model*"):
        if file.suffix != ".onnx":
            shutil.copy(file, path)


def calibrated(people, more=""):
    """Return a maker of a calibrated run, by the command of the page that explains it."""

    def write(library, path):
        _, command = next(commands_of(DOCS / "use.rst"))
        with working_in(library.folder / f"calibrated-{people}"):
            library.place(people, "people")
            library.place("run", "runs/mine")
            run(f"{command} {more}")
            shutil.copytree("runs/mine", path, symlinks=True)

    return write


def write_params(name):
    """Return a maker of the weights of a backbone of the zoo."""

    def write(library, path):
        from gluonface.model_zoo import get_model

        get_model(name).save_parameters(str(path))

    return write


def write_onnx(library, path):
    from gluonface.deploy import export_model
    from gluonface.model_zoo import get_model

    files = export_model(get_model("r50"), library.folder / "r50-export", onnx=True)
    shutil.copy(files["onnx"], path)


def write_torch(name):
    """Return a maker of a state dict as PyTorch saves it."""

    def write(library, path):
        from gluonface.deploy.torch_state import export_torch
        from gluonface.weights.safetensors import read_safetensors

        params = library.folder / f"{name}.params"
        write_params(name)(library, params)
        arrays = read_safetensors(
            export_torch(f"{name}:{params}", path.with_suffix(".safetensors"))
        )
        with torch_files.stand_in():
            content = {key: torch_files.Written(value) for key, value in arrays.items()}
            torch_files.write_zip(path, content)

    return write


def write_insightface(library, path):
    """Copy InsightFace's MobileFaceNet."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the reference data in {SHARED}, which is not part of the project")
    shutil.copytree(SHARED / "data/insightface-mobilefacenet", path)


MAKERS = {
    "a.png": write_picture(0),
    "b.png": write_picture(1),
    "insightface": write_insightface,
    "records": write_records,
    "pack": write_pack,
    "crops": write_crops,
    "crowd": write_crowd,
    "flat": write_flat,
    "drawn": write_drawn,
    "photographs": write_photographs,
    "snapshots": write_snapshots,
    "points": write_points,
    "pairs": write_pairs,
    "faces.lst": write_faces_list,
    "damaged": write_damaged,
    "shards": write_shards,
    "same": write_same,
    "all-people": write_face_list(range(12), group="AB"),
    "known-people": write_face_list(range(12)),
    "some-people": write_face_list(range(6)),
    "other-people": write_face_list(range(6, 12)),
    "janus": write_janus,
    "rfw": write_rfw,
    "rfw-aligned": write_rfw_aligned,
    "bfw": write_bfw,
    "lfw": write_lfw,
    "demogpairs": write_demogpairs,
    "run": write_run,
    "export": write_export,
    "calibrated": calibrated("crops"),
    "calibrated for photographs": calibrated("snapshots", "--detector mtcnn"),
    "mobilefacenet": write_params("mobilefacenet"),
    "mbf": write_params("mbf"),
    "onnx": write_onnx,
    "r50.pth": write_torch("r50"),
    "edgeface.pt": write_torch("edgeface_xs_gamma_06"),
}
