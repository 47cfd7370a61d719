"""`gluonface identify`: who of a gallery is on a picture."""

from ._gallery_common import add_model_argument, open_gallery_reader

__all__ = ["add_arguments", "run"]


def add_arguments(parser):
    """Add the options of this command to `parser`."""
    parser.add_argument(
        "gallery", metavar="G", help="the gallery; it stores which model it belongs to"
    )
    parser.add_argument("photos", metavar="PHOTO|DIR", help="a picture, or a folder of pictures")
    parser.add_argument(
        "--top", type=int, default=5, metavar="N", help="show the N nearest people of each face"
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument(
        "--fpir",
        type=float,
        metavar="F",
        help="name somebody at this false-positive identification rate of `gluonface gallery "
        "check` (if not given, the smallest that 30 people support)",
    )
    limit.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="name somebody above your own threshold, a cosine: its error rates are not known",
    )
    add_model_argument(parser)
    parser.add_argument("--draw", metavar="DIR", help="write the pictures with names into DIR")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE")


def run(args):
    """Look for the faces, print; return the exit status."""
    import logging
    import sys

    from ..errors import DataError, InputError
    from ..files import write_json
    from ..recognition.check import gallery_point
    from ..recognition.gallery import Gallery
    from ..recognition.gallery_photos import find_pictures, identify_photo
    from ._data_common import check_outputs

    check_outputs(("--json", args.json))
    if args.top < 1:
        raise InputError(f"--top is {args.top}; expected 1 or more")
    if args.threshold is not None and not -1 <= args.threshold <= 1:
        raise InputError(f"--threshold is {args.threshold:g}; expected a cosine, -1 to 1")
    gallery = Gallery.open(args.gallery)
    if not gallery.names:
        raise DataError(f"{args.gallery} is empty; gluonface gallery enrol adds people")
    point, stale = (None, None) if args.threshold is not None else gallery_point(gallery, args.fpir)
    pictures = find_pictures(args.photos)
    reader, _, _ = open_gallery_reader(args, gallery, pictures)
    if stale:
        logging.getLogger(__name__).warning("%s", stale)
    threshold = args.threshold if point is None else point.threshold
    results, failed = [], 0
    for picture in pictures:
        try:
            found = identify_photo(gallery, reader, picture, args.top)
        except DataError as error:
            if len(pictures) == 1:
                raise
            failed += 1
            logging.getLogger(__name__).warning("%s", error)
            continue
        _print(picture, found, threshold)
        results.append({"picture": picture, "faces": [_entry(*one, threshold) for one in found]})
        if args.draw:
            _draw(args.draw, picture, found, threshold)
    sys.stdout.write(_footer(args, gallery, point) + "\n")
    if args.json:
        checked = None
        if point is not None:
            import dataclasses

            checked = dataclasses.asdict(point)
        document = {"gallery": args.gallery, "threshold": threshold, "point": checked}
        write_json(args.json, {**document, "stale": stale, "pictures": results})
    return 1 if failed else 0


def _name(near, threshold):
    """Return who is named: a name, nobody, or None without a threshold."""
    if threshold is None:
        return None
    return near[0].name if near and near[0].score > threshold else "nobody"


def _entry(face, near, threshold):
    named = _name(near, threshold)
    return {
        **face.to_dict(),
        "name": None if named == "nobody" else named,
        "decided": threshold is not None,
        "candidates": [{"name": one.name, "score": one.score} for one in near],
    }


def _print(picture, found, threshold):
    import sys

    from ..errors import one_line

    write, picture = sys.stdout.write, one_line(picture)
    if not found:
        write(f"{picture}: no face was found\n")
    for number, (face, near) in enumerate(found, 1):
        left, top, width, height = face.box
        where = f"{picture}: face {number} of {len(found)}"
        if face.points is not None:
            where += f" at ({round(left + width / 2)}, {round(top + height / 2)}), "
            where += f"{round(max(width, height))} px"
        quality = str(face.quality)
        write(where + (f", {quality}" if quality else "") + "\n")
        named = _name(near, threshold)
        write(f"  {'no decision' if named is None else named}\n")
        for one in near:
            mark = "above" if threshold is not None and one.score > threshold else ""
            write(f"    {one.score:.3f}  {one.name}  {mark}".rstrip() + "\n")


def _footer(args, gallery, point):
    from ..evaluation.results.tables import rate_text
    from ..recognition.check import read_check

    if args.threshold is not None:
        return f"your threshold {args.threshold:.3f}: its error rates are not known"
    if point is None:
        return (
            f"no decision: {args.gallery} was never checked; gluonface gallery check "
            f"{args.gallery} measures a threshold"
        )
    rule = "rule of 30 kept" if point.support == "30" else "rule of 3: an estimate"
    people = read_check(gallery).people
    where = f"searches for strangers in this gallery ({people:,} people; {rule})"
    if point.source == "calibration":
        where = f"its calibration, at the false match rate {rate_text(point.fpir / people)}"
    return (
        f"threshold {point.threshold:.3f}: of strangers a share of {rate_text(point.fpir)} is "
        f"named, measured on {where}"
    )


def _draw(folder, picture, found, threshold):
    """Write a picture with the names of its faces."""
    import pathlib

    from ..data import images
    from ..files import atomic_write
    from ..recognition.draw import draw_faces
    from ..recognition.faces import read_photo

    image = read_photo(picture)[0]
    for face, near in found:
        named = _name(near, threshold)
        words = "no decision" if named is None else named
        if near:
            words += f"\n{near[0].score:.3f}"
        verdict = {None: "", "nobody": "no"}.get(named, "yes")
        image = draw_faces(image, [face], [words], verdict)
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    name = "-".join(pathlib.PurePath(picture).parts[-2:]).replace("/", "-")
    with atomic_write(pathlib.Path(folder) / f"{name}.png") as file:
        file.write(images.encode(image, 101))
