"""LFW accuracies of the losses' papers: what was read, where, and what is not known.

A figure stands here only if it was read in the paper's abstract or in its authors' repository.
Everything else says which of two things holds: the paper has a figure that could not be read
(UNREAD), or it has none (NONE); and where neither could be found out (UNKNOWN).
"""

__all__ = ["LFW", "NONE", "UNKNOWN", "UNREAD"]

UNREAD, NONE, UNKNOWN = "not read", "none", "unknown"


def _at(words, url):
    return f"`{words} <https://{url}>`__"


def _tested(url):
    """Return the words for a paper whose abstract names LFW without a figure."""
    return f"tested on LFW, says the {_at('abstract', url)}"


ARXIV = "arxiv.org/abs/"
GITHUB = "github.com/"
CVF = "openaccess.thecvf.com/content_CVPR_2019/html/Liu_AdaptiveFace_Adaptive_Margin_and_Sampling_for_Face_Recognition_CVPR_2019_paper.html"  # noqa: E501
DEEPID = "typeset.io/papers/deep-learning-face-representation-from-predicting-10-000-ld9228udgj"
CENTER = "wixlib.com/document/57c07_a-discriminative-feature-learning-approach-for-deep-face-recognition.html"  # noqa: E501
ECVA = "www.ecva.net/papers/eccv_2020/papers_ECCV/html/1445_ECCV_2020_paper.php"
QAM = "rc.signalprocessingsociety.org/conferences/icip-2020/icip20vid543"

# Name of the loss -> (accuracy in percent or one of the three words, what it comes from).
LFW = {
    "adacos": (UNREAD, _tested(ARXIV + "1905.00292")),
    "adaface": ("99.82", _at("authors' code", GITHUB + "mk-minchul/AdaFace") + ": R100, MS1MV2"),
    "adam_softmax": (UNREAD, _tested(CVF)),
    "amsoftmax": (UNREAD, _tested(ARXIV + "1801.05599")),
    "arcface": (
        "99.80+",
        _at("authors' code", GITHUB + "deepinsight/insightface")
        + ", arcface_mxnet: LResNet100E-IR, MS1MV2",
    ),
    "arcnegface": (
        UNKNOWN,
        f"the {_at('abstract', ARXIV + '1909.00632')} has deepglint-large and iQiyi-large only",
    ),
    "circleloss": (
        UNKNOWN,
        f"the {_at('abstract', ARXIV + '2002.10857')} names no set of faces",
    ),
    "coco": (UNKNOWN, f"the {_at('abstract', ARXIV + '1710.00870')} names no set"),
    "combined": (UNKNOWN, "of the ArcFace paper, whose abstract gives no figure for it"),
    "cosface": (UNREAD, _tested(ARXIV + "1801.09414")),
    "curricularface": (
        "99.80",
        _at("authors' code", GITHUB + "HuangYG123/CurricularFace")
        + ": IR101; retrained, by its authors a little different from the paper",
    ),
    "l2softmax": ("99.78", _at("abstract", ARXIV + "1703.09507")),
    "li_arcface": (
        UNKNOWN,
        f"the {_at('abstract', ARXIV + '1907.12256')} has deepglint-light only",
    ),
    "magface": (
        "99.83",
        f"the paper as quoted in the {_at('authors’ repository', GITHUB + 'IrvingMeng/MagFace/issues/14')}",  # noqa: E501
    ),
    "mv": (
        UNKNOWN,
        "a small set such as LFW may not show its gain, say the "
        + _at("authors", GITHUB + "xiaoboCASIA/SV-X-Softmax"),
    ),
    "normface": (
        "99.21",
        _at("authors' code", GITHUB + "happynear/NormFace")
        + ": the centre loss's ResNet, fine-tuned",
    ),
    "qamface": (UNKNOWN, f"the {_at('abstract', QAM)} names no set"),
    "softmax": (
        "97.45",
        _at("abstract", DEEPID)
        + " of DeepID: many networks of face regions and a further classifier",
    ),
    "sphereface": (
        "99.30",
        _at("authors' code", GITHUB + "wy1iu/sphereface")
        + ": 20 layers, CASIA-WebFace; best of five runs, 99.13 to 99.30",
    ),
    "subcenter_arcface": (
        UNKNOWN,
        f"the {_at('abstract', ECVA)} has IJB-B, IJB-C, MegaFace and FRVT",
    ),
    "svx": (
        UNKNOWN,
        "its training set shares people with its test sets, say the "
        + _at("authors", GITHUB + "xiaoboCASIA/SV-X-Softmax"),
    ),
    "auxiliary/center": (UNREAD, _tested(CENTER)),
    "auxiliary/coco": (UNKNOWN, f"the {_at('abstract', ARXIV + '1710.00870')} names no set"),
    "auxiliary/contrastive": (NONE, "published in 2006, LFW in 2007"),
    "auxiliary/focal": (NONE, f"for {_at('detecting objects', ARXIV + '1708.02002')}"),
    "auxiliary/git": (UNREAD, _tested(ARXIV + "1807.08512")),
    "auxiliary/label_smoothing": (
        NONE,
        f"for {_at('classes of ImageNet', ARXIV + '1512.00567')}",
    ),
    "auxiliary/lgm": (UNREAD, _tested(GITHUB + "WeitaoVan/L-GM-loss")),
    "auxiliary/mps": (
        NONE,
        "for photos of documents; 99.67 is of the "
        + _at("network before it", GITHUB + "seasonSH/DocFace"),
    ),
    "auxiliary/ohem": (NONE, f"for {_at('detecting objects', ARXIV + '1604.03540')}"),
    "auxiliary/range": (UNREAD, _tested(ARXIV + "1611.08976")),
    "auxiliary/ring": (UNREAD, _tested(ARXIV + "1803.00130")),
    "auxiliary/triplet": ("99.63", _at("abstract", ARXIV + "1503.03832") + " of FaceNet"),
}
