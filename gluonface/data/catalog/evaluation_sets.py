"""The verification packs and the sets of protocols that the catalogue has."""

from .entry import INSIGHTFACE, NO_SUMS, PACKED, PAIRS, RESEARCH, add

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
for _name, _title, _pairs, _people, _images, _about, _page in (
    (
        "lfw",
        "LFW",
        6000,
        5749,
        13233,
        "6,000 pairs of the 13,233 photographs of 5,749 people (View 2)",
        "http://vis-www.cs.umass.edu/lfw/",
    ),
    (
        "cfp-ff",
        "CFP-FF",
        7000,
        500,
        5000,
        "7,000 pairs, frontal with frontal, of 500 people and 5,000 photographs",
        "http://www.cfpw.io/",
    ),
    (
        "cfp-fp",
        "CFP-FP",
        7000,
        500,
        7000,
        "7,000 pairs, frontal with profile, of 500 people and 7,000 photographs",
        "http://www.cfpw.io/",
    ),
    (
        "agedb-30",
        "AgeDB-30",
        6000,
        570,
        12240,
        "6,000 pairs 30 years apart, of the 12,240 photographs of 570 people",
        "https://ibug.doc.ic.ac.uk/resources/agedb/",
    ),
    (
        "calfw",
        "CALFW",
        6000,
        4025,
        12174,
        "6,000 pairs with an age gap, 12,174 photographs of 4,025 people of LFW (arXiv 1708.08197)",
        "http://www.whdeng.cn/CALFW/",
    ),
    (
        "cplfw",
        "CPLFW",
        6000,
        None,
        11652,
        "6,000 pairs in different poses, 11,652 photographs of some 3,930 people of LFW",
        "http://www.whdeng.cn/CPLFW/Cross-Pose-LFW.pdf",
    ),
    (
        "vgg2-fp",
        "VGG2-FP",
        5000,
        None,
        None,
        "5,000 pairs, frontal with profile, of VGGFace2's test people",
        "https://arxiv.org/abs/1710.08092",
    ),
):
    add(
        _name,
        _title,
        "pairs",
        _about,
        PAIRS,
        RESEARCH,
        _page,
        PACKED,
        aliases=(_name.replace("-", "_"),),
        identities=_people,
        images=_images,
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
add(
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
add(
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
add(
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
add(
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
