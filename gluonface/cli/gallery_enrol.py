"""`gluonface gallery enrol`: add the faces of people to a gallery."""

from ._gallery_common import add_model_argument, open_gallery_reader

__all__ = ["add_arguments", "run"]

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument("gallery", metavar="G", help="the gallery; it is made if it is not there")
    parser.add_argument(
        "photos",
        metavar="PHOTOS",
        help="a folder with a folder for each person; with --person a picture or a folder of them",
    )
    parser.add_argument("--person", metavar="NAME", help="who is on all of PHOTOS")
    parser.add_argument(
        "--names",
        metavar="FILE.csv",
        help="lines FOLDER,NAME: who is in each folder of PHOTOS, such as the names.csv of "
        "`gluonface cluster --link`; folders without a name are left out",
    )
    add_model_argument(parser)
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="what `gluonface calibrate` wrote; the gallery keeps it (if not given, that of the "
        "gallery, or of the model card)",
    )
    parser.add_argument(
        "--template",
        choices=("sum", "mean", "max"),
        help="template of a person in a new gallery: the sum of the raw outputs, in which weak "
        "images have a small weight; the mean of unit vectors; or the best of all faces (if not "
        "given, sum)",
    )
    parser.add_argument(
        "--min-quality",
        type=float,
        metavar="Q",
        help="leave out faces below this percentile of the calibration set, 0 to 1",
    )
    parser.add_argument(
        "--force", action="store_true", help="enrol faces that are too small or weak as well"
    )
    parser.add_argument(
        "--several",
        choices=("largest", "refuse"),
        default="largest",
        help="of a picture with several faces enrol the largest, or leave the picture out",
    )
    parser.add_argument("--no-paths", action="store_true", help="do not store where pictures are")
    parser.add_argument("--json", metavar="FILE", help="write what was done to FILE")


def run(args):
    """Enrol, print; return the exit status."""
    import logging
    import pathlib
    import sys

    import tqdm

    from ..errors import InputError, one_line
    from ..files import write_json
    from ..recognition.gallery import Gallery
    from ..recognition.gallery_photos import enrol_photos, list_people
    from ._data_common import check_outputs

    check_outputs(("--json", args.json))
    people = list_people(args.photos, args.person, args.names)
    pictures = [picture for some in people.values() for picture in some]
    gallery = Gallery.open(args.gallery) if pathlib.Path(args.gallery).exists() else None
    if gallery is not None and args.template not in (None, gallery.about["template"]):
        raise InputError(
            f"{args.gallery} has the template {gallery.about['template']!r}; --template is for a "
            "new gallery"
        )
    reader, calibration, why = open_gallery_reader(args, gallery, pictures)
    if gallery is None:
        gallery = Gallery.create(
            args.gallery,
            {**reader.identity.to_dict(), "source": _absolute(args.model)},
            args.flip,
            reader.input,
            args.template or "sum",
            calibration and calibration.to_dict(),
        )
    elif args.calibration or (calibration is not None and gallery.about["calibration"] is None):
        gallery.set_about("calibration", calibration.to_dict())
    if calibration is None:
        logging.getLogger(__name__).warning("the quality of faces is not judged: %s", why)
    with tqdm.tqdm(total=len(pictures), unit="img", disable=None) as bar:
        done = enrol_photos(
            gallery,
            reader,
            people,
            args.min_quality,
            args.force,
            args.several,
            not args.no_paths,
            bar.update,
        )
    for text in done.warnings:
        logging.getLogger(__name__).warning("%s", text)
    added = done.added
    write = sys.stdout.write
    write(f"{args.gallery}: {added.faces:,} faces enrolled, {added.people:,} new people\n")
    for name, had in added.known.items():
        write(f"{name} was there with {had:,} faces: if that is another person, use another name\n")
    own = {picture: name for name, some in people.items() for picture in some}
    other = [(p, name) for p, name in added.skipped if own.get(p) != name]
    if added.skipped:
        write(f"{len(added.skipped):,} pictures are enrolled already and were skipped\n")
    for picture, name in other:
        names = f"as {name}, not as {own.get(picture)}"
        write(f"{one_line(picture)} is enrolled {names}: whose picture is it?\n")
    if done.left_out:
        write(f"{len(done.left_out):,} pictures were left out\n")
    for picture, reason in done.left_out[:10]:
        write(f"  {one_line(picture)}: {one_line(reason)}\n")
    if args.json:
        write_json(
            args.json,
            {
                "faces": added.faces,
                "people": added.people,
                "known": added.known,
                "skipped": [list(pair) for pair in added.skipped],
                "left_out": [list(pair) for pair in done.left_out],
                "warnings": done.warnings,
            },
        )
    return 0 if added.faces or added.skipped else 1


def _absolute(model):
    """Return the source of a model with its path made absolute: identify runs elsewhere."""
    import pathlib

    head, colon, path = model.rpartition(":")
    return f"{head}{colon}{pathlib.Path(path).absolute()}"
