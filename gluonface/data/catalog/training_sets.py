"""The sets to train on that the catalogue has."""

from .entry import INSIGHTFACE, NO_SUMS, RECORDS, RESEARCH, UNPACK, add

add(
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
add(
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
add(
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
add(
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
add(
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
    add(
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
