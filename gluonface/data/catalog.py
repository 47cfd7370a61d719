"""The public face sets: what they hold, where they come from, and how to check a download.

Nothing is downloaded from here. Counts are exact where the source states them exactly; where it
rounds, `images` is None and `about` has its words.
"""

import dataclasses
from typing import Optional

from ..registry import Registry

__all__ = ["CATALOG", "Entry", "recognise"]

CATALOG = Registry("data set")

RESEARCH = "non-commercial research only"
INSIGHTFACE = "https://github.com/deepinsight/insightface/tree/master/recognition/_datasets_"
RECORDS = "train.rec, train.idx, property (InsightFace's RecordIO)"
UNPACK = (
    "unpack; look with `gluonface data inspect DIR`; train with `gluonface train --data DIR`. The "
    "folder usually brings lfw.bin, cfp_fp.bin and agedb_30.bin"
)
PAIRS = "NAME.bin, a verification pack"
PACKED = (
    "the pack comes with InsightFace's training sets; `gluonface eval verification --pack FILE`. "
    "Of photographs: `gluonface data align`, then `gluonface data pack-pairs`"
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One set.

    Attributes
    ----------
    name : str
        As `gluonface data catalog NAME` takes it.
    title : str
        As papers write it.
    kind : str
        ``training``, ``pairs`` (a verification pack) or ``protocol``.
    identities, images : int or None
        Exact counts of the set as it is distributed.
    about : str
        The counts in words, and of what.
    layout : str
        The files after unpacking.
    license : str
    page : str
        Where the set is described and found.
    after : str
        What to do after the download.
    pairs, same : int or None
        Of verification packs.
    md5 : dict of str to str
        Known sums, by file name.
    """

    name: str
    title: str
    kind: str
    about: str
    layout: str
    license: str
    page: str
    after: str
    identities: Optional[int] = None
    images: Optional[int] = None
    pairs: Optional[int] = None
    same: Optional[int] = None
    md5: dict = dataclasses.field(default_factory=dict)


def _add(name, *values, aliases=(), **more):
    CATALOG.register(name, aliases)(Entry(name, *values, **more))


_add(
    "ms1mv2",
    "MS1MV2 (MS1M-ArcFace, faces_emore)",
    "training",
    "5,822,653 images of 85,742 people, MS-Celeb-1M cleaned for ArcFace (arXiv 1801.07698)",
    RECORDS,
    RESEARCH,
    INSIGHTFACE,
    UNPACK,
    aliases=("ms1m-arcface", "faces_emore"),
    identities=85742,
    images=5822653,
)
_add(
    "ms1mv3",
    "MS1MV3 (MS1M-RetinaFace)",
    "training",
    "5,179,510 images of 93,431 people, MS-Celeb-1M aligned anew by RetinaFace",
    RECORDS,
    RESEARCH,
    INSIGHTFACE,
    UNPACK,
    aliases=("ms1m-retinaface", "ms1m-retinaface-t1"),
    identities=93431,
    images=5179510,
)
_add(
    "glint360k",
    "Glint360K",
    "training",
    "17,091,657 images of 360,232 people (arXiv 2010.05222)",
    RECORDS,
    RESEARCH,
    "https://github.com/deepinsight/insightface/tree/master/recognition/partial_fc",
    "check the seven parts with `gluonface data catalog glint360k --check DIR`; put them together "
    "with `cat glint360k_* | tar -xzvf -` (the last - belongs to it); check train.rec and "
    "train.idx the same way",
    identities=360232,
    images=17091657,
    md5={
        "glint360k_00": "cf7433cbb915ac422230ba33176f4625",
        "glint360k_01": "589a5ea3ab59f283d2b5dd3242bc027a",
        "glint360k_02": "8d54fdd5b1e4cd55e1b9a714d76d1075",
        "glint360k_03": "cd7f008579dbed9c5af4d1275915d95e",
        "glint360k_04": "64666b324911b47334cc824f5f836d4c",
        "glint360k_05": "a318e4d32493dd5be6b94dd48f9943ac",
        "glint360k_06": "c3ae1dcbecea360d2ec2a43a7b6f1d94",
        "train.idx": "5d9cd9f262ec87a5ca2eac5e703f7cdf",
        "train.rec": "8483be5af6f9906e19f85dee49132f8e",
    },
)
_add(
    "casia-webface",
    "CASIA-WebFace",
    "training",
    "494,414 images of 10,575 people in the paper (arXiv 1411.7923); InsightFace's aligned set, "
    "without broken ones, has about 0.49 million of 10,572",
    RECORDS,
    RESEARCH,
    INSIGHTFACE,
    UNPACK,
    aliases=("casia", "faces_webface"),
    identities=10572,
)
_add(
    "vggface2",
    "VGGFace2",
    "training",
    "3.31 million images of 9,131 people (arXiv 1710.08092), 8,631 of them to train on",
    RECORDS + "; the original is folders of photographs",
    "Creative Commons BY-NC 4.0 at its publication; its page has been withdrawn since",
    INSIGHTFACE,
    UNPACK + ". Of the original photographs: `gluonface data align`, `gluonface data pack`",
    aliases=("vgg2",),
    identities=8631,
)
for _size, _people, _images, _what in (
    ("4m", 205990, 4235242, "a tenth of WebFace42M"),
    ("12m", 617970, 12720066, "three tenths of WebFace42M"),
    ("42m", 2059906, 42474558, "the cleaned part of WebFace260M"),
):
    _add(
        f"webface{_size}",
        f"WebFace{_size.upper()}",
        "training",
        f"{_images:,} images of {_people:,} people, {_what} (arXiv 2103.04098)",
        "folders of aligned 112 x 112 images, a folder per person, in several archives",
        RESEARCH + ", by a signed agreement",
        "https://www.face-benchmark.org/download.html",
        f"`gluonface data pack DIR webface{_size}` makes one RecordIO set of the folders; larger "
        "labels than 16,777,216 cannot be stored, these sets stay below",
        aliases=(f"wf{_size}",),
        identities=_people,
        images=_images,
    )
for _name, _title, _pairs, _about, _page in (
    (
        "lfw",
        "LFW",
        6000,
        "6,000 pairs of the 13,233 photographs of 5,749 people (View 2)",
        "http://vis-www.cs.umass.edu/lfw/",
    ),
    (
        "cfp-ff",
        "CFP-FF",
        7000,
        "7,000 pairs, frontal with frontal, of 500 people",
        "http://www.cfpw.io/",
    ),
    (
        "cfp-fp",
        "CFP-FP",
        7000,
        "7,000 pairs, frontal with profile, of 500 people and 7,000 photographs",
        "http://www.cfpw.io/",
    ),
    (
        "agedb-30",
        "AgeDB-30",
        6000,
        "6,000 pairs 30 years apart, of the 12,240 photographs of 570 people",
        "https://ibug.doc.ic.ac.uk/resources/agedb/",
    ),
    (
        "calfw",
        "CALFW",
        6000,
        "6,000 pairs with an age gap, 12,174 photographs of 4,025 people of LFW (arXiv 1708.08197)",
        "http://www.whdeng.cn/CALFW/",
    ),
    (
        "cplfw",
        "CPLFW",
        6000,
        "6,000 pairs in different poses, 11,652 photographs of 3,884 people of LFW",
        "http://www.whdeng.cn/CPLFW/Cross-Pose-LFW.pdf",
    ),
    (
        "vgg2-fp",
        "VGG2-FP",
        5000,
        "5,000 pairs, frontal with profile, of VGGFace2's test people",
        "https://arxiv.org/abs/1710.08092",
    ),
):
    _add(
        _name,
        _title,
        "pairs",
        _about,
        PAIRS,
        RESEARCH,
        _page,
        PACKED,
        aliases=(_name.replace("-", "_"),),
        pairs=_pairs,
        same=_pairs // 2,
    )
_IJB = (
    "loose_crop/ and meta/ as InsightFace's test suite has them: NAME_face_tid_mid.txt, "
    "NAME_name_5pts_score.txt, NAME_template_pair_label.txt, and the gallery and probe lists"
)
_add(
    "ijb-b",
    "IJB-B",
    "protocol",
    "227,630 images in 12,115 templates; 8,010,270 pairs, 10,270 of them of one person",
    _IJB,
    "by request from NIST, " + RESEARCH,
    "https://www.nist.gov/programs-projects/face-challenges",
    "`gluonface eval ijb --help`",
    aliases=("ijbb",),
    images=227630,
)
_add(
    "ijb-c",
    "IJB-C",
    "protocol",
    "469,375 images in 23,124 templates; 15,658,489 pairs",
    _IJB,
    "by request from NIST, " + RESEARCH,
    "https://www.nist.gov/programs-projects/face-challenges",
    "`gluonface eval ijb --help`",
    aliases=("ijbc",),
    images=469375,
)
_add(
    "megaface",
    "MegaFace challenge 1",
    "protocol",
    "3,530 photographs of 80 people of FaceScrub as probes, 1,000,000 distractors; the noise lists "
    "of InsightFace take out what is labelled wrongly",
    "facescrub_images/, megaface_images/, their lists, and the two noise lists",
    RESEARCH + "; its publishers have withdrawn it",
    INSIGHTFACE,
    "`gluonface eval megaface --help`",
)
_add(
    "ifrt",
    "IFRT (MFR-ALL)",
    "protocol",
    "1,624,305 images of 242,143 people in four groups: African 298,010 of 43,874, Caucasian "
    "697,245 of 103,293, Indian 237,080 of 35,086, Asian 391,970 of 59,890",
    "the images are not public; `gluonface eval ifrt` runs its protocol on your own",
    "was run as an online service",
    "https://github.com/deepinsight/insightface/tree/master/challenges/mfr",
    "`gluonface eval ifrt --help`; the Asian group was cleaned on 2021-04-25, figures from before "
    "and after cannot be compared",
    aliases=("mfr",),
    identities=242143,
    images=1624305,
)


def recognise(identities=None, images=None, pairs=None, same=None):
    """Return the entries that have just these counts.

    Parameters
    ----------
    identities, images : int, optional
        Of a training set. An entry without an exact number of images counts by its identities.
    pairs, same : int, optional
        Of a verification pack; several have the same counts.

    Returns
    -------
    list of Entry
    """
    found = []
    for name in CATALOG.list():
        entry = CATALOG.get(name)
        if entry.kind == "training" and identities is not None:
            fits = entry.identities == identities and entry.images in (None, images)
        else:
            fits = entry.kind == "pairs" and (entry.pairs, entry.same) == (pairs, same)
        if fits:
            found.append(entry)
    return found
