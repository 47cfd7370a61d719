"""`gluonface eval ...`: the table of the evaluation protocols."""

from ._commands import add_group

GROUP = True


def add_arguments(parser):
    """Add the protocols to `parser`."""
    add_group(
        parser,
        {
            "verification": (
                "gluonface.cli.eval_verification",
                "accuracy, TAR at FAR and ROC on verification packs (LFW and the like)",
            ),
            "ijb": (
                "gluonface.cli.eval_ijb",
                "IJB-B and IJB-C: 1:1 verification and 1:N search of templates",
            ),
            "megaface": (
                "gluonface.cli.eval_megaface",
                "MegaFace challenge 1: identification and verification among distractors",
            ),
            "ifrt": (
                "gluonface.cli.eval_ifrt",
                "all-to-all verification within groups of people and of all together",
            ),
            "identification": (
                "gluonface.cli.eval_identification",
                "look for probes in a gallery: rank-k, mAP, TPIR at FPIR",
            ),
            "nist": (
                "gluonface.cli.eval_nist",
                "NIST's error rates: FNMR at FMR, FNIR at FPIR, groups at one threshold",
            ),
            "folder": (
                "gluonface.cli.eval_folder",
                "your own faces: a directory with a folder for each person",
            ),
            "clusters": (
                "gluonface.cli.eval_clusters",
                "agreement of clusters with people: pairs, BCubed, mutual information",
            ),
            "overlap": (
                "gluonface.cli.eval_overlap",
                "people and images of a test set who are in the training set",
            ),
        },
    )
