"""`gluonface data inspect`: what is in a training set or a verification pack."""

import sys

from ._data_common import check_outputs, inspection_cache, print_rows

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument("path", metavar="PATH", help="a record folder, a .rec or a .bin file")
    parser.add_argument(
        "--sheet", metavar="FILE", help="write a contact sheet of a set or pack (.png, .jpg)"
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="draw how many identities have how many images (.png, .svg)"
    )
    parser.add_argument("--json", metavar="FILE", help="write what was found to FILE")


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools import inspect, inspect_plots
    from ..errors import InputError
    from ..files import write_json

    check_outputs(("--sheet", args.sheet), ("--plot", args.plot), ("--json", args.json))
    if args.path.endswith(".bin"):
        if args.plot:
            raise InputError("--plot shows the identities of a training set; a pack has none")
        found = inspect.inspect_pack(args.path, progress=True)
        rows = [
            ("pack", found["path"]),
            ("pairs", f"{found['pairs']}: {found['same']} same, {found['different']} different"),
            ("sha256", found["sha256"]),
            ("known", _known(found)),
        ]
    else:
        found = inspect.inspect_records(args.path, cache=inspection_cache())
        rows = _records(found)
    problems = found["problems"]
    rows.append(("problems", str(len(problems)) if problems else "none"))
    print_rows(rows)
    for problem in problems[:20]:
        sys.stdout.write(f"  {problem}\n")
    if len(problems) > 20:
        sys.stdout.write(f"  and {len(problems) - 20} more (--json has all)\n")
    if args.json:
        write_json(args.json, found)
    if args.sheet:
        shown = inspect_plots.contact_sheet(args.path, args.sheet)
        what = "pairs from" if args.path.endswith(".bin") else "identities"
        print_rows([("sheet", f"{args.sheet}: {what} {', '.join(map(str, shown))}, a row each")])
    if args.plot:
        inspect_plots.plot_identities(found, args.plot)
        print_rows([("plot", args.plot)])
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
        ("duplicates", _duplicates(found)),
        ("known", _known(found)),
    ]


def _known(found):
    names = " or ".join(found["known"])
    return f"it has the counts of {names} (gluonface data catalog)" if names else "no public set"


def _duplicates(found):
    text = f"{found['duplicates']:,} images are copies of another"
    if found["duplicate_groups"]:
        first = found["duplicate_groups"][0]["records"]
        text += f", such as records {' and '.join(map(str, first[:3]))} (--json lists them)"
    return text
