"""LFW accuracies of the losses, as their papers report them, each with its source.

A figure was read in the paper, in its abstract or in its authors' repository. A figure that was
read in another work is marked "quoted", and the source names that work. It is the figure for the
defaults of this package if the paper gives one for them. Otherwise there is one of three words:
the paper tests on LFW, but the figure could not be read (UNREAD); the paper does not test on LFW
(NONE); or neither is known (UNKNOWN).
"""

__all__ = ["LFW", "NONE", "UNKNOWN", "UNREAD"]

UNREAD, NONE, UNKNOWN = "not read", "none", "unknown"


def _at(words, url):
    return f"`{words} <https://{url}>`__"


def _tested(url):
    """Return the words for a paper whose abstract names LFW without a figure."""
    return f"tested on LFW, says the {_at('abstract', url)}"


def _paper(number, table):
    """Return the words for a table of the loss's own paper, by its arXiv number."""
    return f"{_at('paper', ARXIV + number)}, table {table}"


def _quoted(words, url):
    return f"quoted in {_at(words, url)}"


ARXIV = "arxiv.org/abs/"
GITHUB = "github.com/"
DEEPID = "typeset.io/papers/deep-learning-face-representation-from-predicting-10-000-ld9228udgj"
ARCFACE = _quoted("ArcFace’s table 4", ARXIV + "1801.07698")
GLUON_FACE = _quoted("gluon-face’s documentation", GITHUB + "THUFutureLab/gluon-face")
TOPOFR = _quoted("TopoFR’s table 2", GITHUB + "modelscope/facechain/tree/main/face_module/TopoFR")
COCO = (
    "99.86",
    _quoted("a question to its authors", GITHUB + "liuyuisanai/coco_loss/issues/9")
    + ": over all 6,000 pairs at once, they say, not ten folds",
)

# Name of the loss -> (accuracy in percent or one of the three words, what it comes from).
LFW = {
    "adacos": (UNREAD, _tested(ARXIV + "1905.00292")),
    "adaface": ("99.82", _at("authors’ code", GITHUB + "mk-minchul/AdaFace") + ": R100, MS1MV2"),
    "adam_softmax": ("99.62", f"AdaptiveFace as a whole, {ARCFACE}: 5M images"),
    "amsoftmax": ("99.17", f"{GLUON_FACE} as the best of the paper"),
    "arcface": ("99.83", _paper("1801.07698", 4) + ": R100, MS1MV2; R50 on CASIA-WebFace 99.53"),
    "arcnegface": (
        UNKNOWN,
        f"the {_at('abstract', ARXIV + '1909.00632')} has deepglint-large and iQiyi-large only",
    ),
    "bce": (UNKNOWN, "a term of comparison in UniTSFace; we read figures of MR-All and IJB-C"),
    "circleloss": (
        "99.73",
        _paper("2002.10857", 2) + ": R34, MS-Celeb-1M cleaned to 3.6M images",
    ),
    "coco": COCO,
    "combined": ("99.48", _paper("1801.07698", 2) + ": (1, 0.3, 0.2), R50, CASIA-WebFace"),
    "cosface": ("99.73", f"{ARCFACE}: 5M images; on CASIA-WebFace 99.33, its table 2"),
    "curricularface": (
        "99.80",
        _at("authors’ code", GITHUB + "HuangYG123/CurricularFace")
        + ": IR101; retrained, by its authors a little different from the paper",
    ),
    "elastic_arcface": (UNKNOWN, "we read formulas and code, no figure"),
    "elastic_cosface": (UNKNOWN, "we read formulas and code, no figure"),
    "l2softmax": ("99.78", _at("abstract", ARXIV + "1703.09507")),
    "li_arcface": (
        "99.23",
        _paper("1907.12256", 3) + ": MobileFaceNet of 128, CASIA-WebFace; m = 0.4 has 99.27",
    ),
    "magface": (
        "99.83",
        "paper as " + _quoted("its authors’ repository", GITHUB + "IrvingMeng/MagFace/issues/14"),
    ),
    "mv": ("99.80", f"{TOPOFR}: R100, MS1MV2"),
    "normface": (
        "99.16",
        _paper("1704.06369", 2) + ": the centre loss’s network, fine-tuned on CASIA-WebFace; "
        "99.22 with a contrastive term",
    ),
    "qamface": (
        UNREAD,
        f"the {_at('authors’ code', GITHUB + 'MccreeZhao/QAMFace')} tests on LFW, without a figure",
    ),
    "softmax": (
        "97.45",
        _at("abstract", DEEPID)
        + " of DeepID: many networks of face regions and a further classifier; one R50 on "
        "CASIA-WebFace has 99.08 in " + _at("ArcFace’s table 2", ARXIV + "1801.07698"),
    ),
    "sphereface": (
        "99.42",
        f"{ARCFACE}: CASIA-WebFace; {_at('authors’ code', GITHUB + 'wy1iu/sphereface')}, of 20 "
        "layers, 99.13 to 99.30",
    ),
    "sphereface2": (UNKNOWN, "we read figures of MR-All and IJB-C, in UniTSFace"),
    "sphereface_r": (UNKNOWN, "we read figures of MR-All and IJB-C, in UniTSFace"),
    "subcenter_arcface": (
        "99.83",
        _at("ArcFace’s journal version", ARXIV + "1801.07698")
        + ": ArcFace, R100, on IBUG-500K, which sub-centres cleaned",
    ),
    "svx": (
        "99.78",
        _paper("1812.11317", 1)
        + ": Attention-56, MS-Celeb-1M-v1c, which "
        + _at("shares people with LFW", GITHUB + "xiaoboCASIA/SV-X-Softmax"),
    ),
    "auxiliary/uss": (UNKNOWN, "we read figures of MR-All and IJB-C in UniTSFace"),
    "lvface": (UNKNOWN, "we read figures of MR-All and IJB-C, in notes of others on the paper"),
    "uniface": (UNKNOWN, "we read figures of MR-All and IJB-C, in its repository"),
    "auxiliary/center": ("99.28", f"{ARCFACE}: 0.7M images"),
    "auxiliary/coco": COCO,
    "auxiliary/contrastive": (NONE, "published in 2006, LFW in 2007"),
    "auxiliary/ekd": (
        UNREAD,
        f"the {_at('abstract', ARXIV + '2206.02325')} names popular benchmarks without a figure",
    ),
    "auxiliary/focal": (NONE, f"for {_at('detecting objects', ARXIV + '1708.02002')}"),
    "auxiliary/git": (UNREAD, _tested(ARXIV + "1807.08512")),
    "auxiliary/kd_cosine": (
        "99.77",
        _at("abstract", ARXIV + "1905.10620") + ", with more terms than this one",
    ),
    "auxiliary/kd_l2": (NONE, "FitNets is not about faces"),
    "auxiliary/kd_logits": (NONE, "the paper is not about faces"),
    "auxiliary/label_smoothing": (
        NONE,
        f"for {_at('classes of ImageNet', ARXIV + '1512.00567')}",
    ),
    "auxiliary/lgm": ("99.20", f"{GLUON_FACE} as the best of the paper"),
    "auxiliary/mps": (
        NONE,
        "for photos of documents; 99.67 is of the "
        + _at("network before it", GITHUB + "seasonSH/DocFace"),
    ),
    "auxiliary/ohem": (NONE, f"for {_at('detecting objects', ARXIV + '1604.03540')}"),
    "auxiliary/range": ("99.52", f"{ARCFACE}: 5M images"),
    "auxiliary/ring": ("99.52", f"{GLUON_FACE} as the best of the paper"),
    "auxiliary/rkd_angle": (NONE, "the paper is not about faces"),
    "auxiliary/rkd_distance": (NONE, "the paper is not about faces"),
    "auxiliary/triplet": ("99.63", _at("abstract", ARXIV + "1503.03832") + " of FaceNet"),
}
