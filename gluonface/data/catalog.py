"""The public face sets: what they hold, where they come from, and how to check a download.

Nothing is downloaded from here. A count is exact, or None where nobody states it; `note` says whose
word it is, and what is not known.
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
    note : str
        Whose word the numbers and the sums are, and what is not known.
    pairs, same : int or None
        Of verification packs.
    sums : dict of str to str
        MD5 or SHA-256 by file name, as the set's makers or packages that read it state them.
    copies : dict of str to tuple of str
        SHA-256 by file name, of copies that were seen. Another sum proves nothing.
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
    note: str = ""
    sums: dict = dataclasses.field(default_factory=dict)
    copies: dict = dataclasses.field(default_factory=dict)


NO_SUMS = "its makers publish no sums of the files"


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
    note="the counts are those of InsightFace's configuration and of train.rec, counted by users; "
    + NO_SUMS,
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
    note="the counts are those of InsightFace's configuration and of train.rec, counted by users; "
    + NO_SUMS,
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
    note="counts and MD5 sums are those of its page",
    sums={
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
    "490,623 images of 10,572 people in InsightFace's aligned set; 494,414 photographs of 10,575 "
    "in the paper (arXiv 1411.7923)",
    RECORDS,
    RESEARCH,
    INSIGHTFACE,
    UNPACK,
    aliases=("casia", "faces_webface"),
    identities=10572,
    images=490623,
    note="InsightFace's page rounds to 10K and 0.5M; users counted the records of train.rec "
    "(490,623 images and 10,573 others); " + NO_SUMS,
)
_add(
    "vggface2",
    "VGGFace2",
    "training",
    "3,141,890 photographs of 8,631 people to train on, 169,396 of 500 others to test "
    "(arXiv 1710.08092 rounds to 3.31 million of 9,131)",
    RECORDS + "; the original is folders of photographs",
    "Creative Commons BY-NC 4.0 at its publication; its page has been withdrawn since",
    INSIGHTFACE,
    UNPACK + ". Of the original photographs: `gluonface data align`, `gluonface data pack`",
    aliases=("vgg2", "faces_vgg"),
    identities=8631,
    note="the counts are those of the photographs (TensorFlow Datasets). How many of them "
    "InsightFace's aligned train.rec has is stated nowhere that we found, so that it is recognised "
    "by its identities; the MD5 sums were on its withdrawn page",
    sums={
        "vggface2_train.tar.gz": "88813c6b15de58afc8fa75ea83361d7f",
        "vggface2_test.tar.gz": "bb7a323824d1004e14e00c23974facd3",
        "bb_landmark.tar.gz": "26f7ba288a782862d137348a1cb97540",
    },
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
        note="the counts are the paper's; "
        + (
            "InsightFace's configuration says 42,474,557 images, one fewer than there are; "
            if _size == "42m"
            else ""
        )
        + NO_SUMS,
    )
_COPIES = {
    "lfw": ("9b711dca71a47fc9f295a28514abe8cc4e457632a8d634264691398c99569593",),
    "cfp-ff": ("18de15b0e7782fcef938a1ea70e430288d08b9e475138057f62694b33656a7c3",),
    "cfp-fp": (
        "76306c783c2ef59c8569ebdcdd2f529f450bcc3fad57c94a5fc2b91df0f10370",
        "d47cdcfe71efe12ff34438fa2254472f144eaa6f22f8ae7e210410c885fa2e43",
    ),
    "agedb-30": ("1af672c0ea829b95951b12628687956fe54263614b60b0ec5af9cdfdc4480b30",),
    "calfw": ("f643466e875865670a91d6d836dcd0af7ac41730f279ba13de1ed5ae6546c4db",),
    "cplfw": ("2d18b80537ef3dce1ba163d8829c5994d1408d4c2a84eee499bba5563d8da2fc",),
    "vgg2-fp": (),
}
_LFW = {
    "lfw.tgz": "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
    "pairs.txt": "ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
    "lfw-funneled.tgz": "1b42dfed7d15c9b2dd63d5e5840c86ad",
    "lfw-deepfunneled.tgz": "68331da3eb755a505a502b5aacb3c201",
}
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
        note=(
            "no sum of its pack was found"
            if not _COPIES[_name]
            else "the makers of the packs publish no sums; these are of copies on Hugging Face, "
            "and other good copies may exist"
        )
        + ("; those of the photographs are scikit-learn's and torchvision's" * (_name == "lfw")),
        sums=_LFW if _name == "lfw" else {},
        copies={f"{_name.replace('-', '_')}.bin": _COPIES[_name]} if _COPIES[_name] else {},
    )
_IJB = (
    "loose_crop/ and meta/ as InsightFace's test suite has them: NAME_face_tid_mid.txt, "
    "NAME_name_5pts_score.txt, NAME_template_pair_label.txt, and the gallery and probe lists"
)
_IJB_NOTE = (
    "faces, templates and pairs are those of InsightFace's test suite, people those of NIST; "
    + NO_SUMS
)
_add(
    "ijb-b",
    "IJB-B",
    "protocol",
    "227,630 faces of 1,845 people in 12,115 templates; 8,010,270 pairs, 10,270 of them of one "
    "person",
    _IJB,
    "images under Creative Commons licences; NIST ended the distribution on 2023-03-14",
    "https://www.nist.gov/itl/iad/ig/face-challenges",
    "`gluonface eval ijb --help`",
    aliases=("ijbb",),
    identities=1845,
    images=227630,
    note=_IJB_NOTE,
)
_add(
    "ijb-c",
    "IJB-C",
    "protocol",
    "469,375 faces of 3,531 people in 23,124 templates; 15,658,489 pairs, 19,557 of them of one "
    "person",
    _IJB,
    "images under Creative Commons licences; NIST ended the distribution on 2023-03-14",
    "https://www.nist.gov/itl/iad/ig/face-challenges",
    "`gluonface eval ijb --help`",
    aliases=("ijbc",),
    identities=3531,
    images=469375,
    note=_IJB_NOTE,
)
_add(
    "megaface",
    "MegaFace challenge 1",
    "protocol",
    "3,530 photographs of 80 people of FaceScrub as probes, 1,027,060 photographs of 690,572 "
    "people as distractors; the noise lists of InsightFace take out what is labelled wrongly",
    "facescrub_images/, megaface_images/, their lists, and the two noise lists",
    RESEARCH + "; its publishers have withdrawn it",
    INSIGHTFACE,
    "`gluonface eval megaface --help`",
    identities=690572,
    images=1027060,
    note="the counts are of the distractors, as its withdrawn page had them; InsightFace's lists "
    "may have fewer; " + NO_SUMS,
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
    note="the counts are those of its page; there are no files",
)


def recognise(identities=None, images=None, pairs=None, same=None, sha256=None):
    """Return the entries that have just these counts, or the one that has a copy with this sum.

    Parameters
    ----------
    identities, images : int, optional
        Of a training set. An entry without an exact number of images counts by its identities.
    pairs, same : int, optional
        Of a verification pack; several have the same counts.
    sha256 : str, optional
        Of a verification pack.

    Returns
    -------
    list of Entry
    """
    found = []
    for name in CATALOG.list():
        entry = CATALOG.get(name)
        if sha256 is not None and any(sha256 in known for known in entry.copies.values()):
            return [entry]
        if entry.kind == "training" and identities is not None:
            fits = entry.identities == identities and entry.images in (None, images)
        else:
            fits = entry.kind == "pairs" and (entry.pairs, entry.same) == (pairs, same)
        if fits:
            found.append(entry)
    return found
