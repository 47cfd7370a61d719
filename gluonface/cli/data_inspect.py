"""`gluonface data inspect`: what is in a training set or a verification pack."""

import sys


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument("path", metavar="PATH", help="a record folder, a .rec or a .bin file")
    parser.add_argument("--sheet", metavar="FILE", help="write a contact sheet (.png or .jpg)")
    parser.add_argument("--json", metavar="FILE", help="write what was found to FILE")


def run(args):
    """Run the command and return the exit status."""
    from ..data import survey
    from ..errors import InputError
    from ..files import write_json

    if args.path.endswith(".bin"):
        if args.sheet:
            raise InputError("--sheet shows training sets; for a pack leave it out")
        found = survey.survey_pack(args.path)
        lines = [
            ("pack", found["path"]),
            ("pairs", f"{found['pairs']}: {found['same']} same, {found['different']} different"),
            ("sha256", found["sha256"]),
        ]
    else:
        found = survey.survey_records(args.path)
        lines = _records(found)
    problems = found["problems"]
    lines.append(("problems", str(len(problems)) if problems else "none"))
    for name, value in lines:
        sys.stdout.write(f"{name:12} {value}\n")
    for problem in problems[:20]:
        sys.stdout.write(f"  {problem}\n")
    if len(problems) > 20:
        sys.stdout.write(f"  and {len(problems) - 20} more (--json has all)\n")
    if args.sheet:
        survey.contact_sheet(args.path, args.sheet)
        sys.stdout.write(f"{'sheet':12} {args.sheet}\n")
    if args.json:
        write_json(args.json, found)
    return 0


def _records(found):
    each, labels = found["images_each"], found["labels"]
    classes = "unknown" if found["num_classes"] is None else found["num_classes"]
    spread = f" (labels {labels[0]} to {labels[1]})" if labels else ""
    return [
        ("records", found["path"]),
        ("images", f"{found['images']:,}"),
        ("identities", f"{found['identities']:,} of {classes} classes{spread}"),
        (
            "images each",
            f"{each['least']} to {each['most']}, median {each['median']:g}, "
            f"mean {each['mean']:.1f}",
        ),
        (
            "size",
            f"{found['size'][1]} x {found['size'][0]}, {found['bytes_each'] / 1000:.1f} kB each, "
            f"{found['grey']:,} grey",
        ),
        ("duplicates", f"{found['duplicates']:,} images are copies of another"),
    ]
