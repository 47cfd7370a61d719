"""`gluonface data inspect`: what is in a training set, a source of faces or a verification pack."""

import sys

from ._data_common import (
    add_source_options,
    check_outputs,
    inspection_cache,
    print_rows,
    source_options,
)

RESUMES = True  # when the command is given again after an interruption


def add_arguments(parser):
    """Add the options to `parser`."""
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="+",
        help="a record folder, a .rec file, a verification pack, or faces in any form that "
        "`gluonface data pack` takes",
    )
    parser.add_argument(
        "--sheet", metavar="FILE", help="write a contact sheet of a set or pack (.png, .jpg)"
    )
    parser.add_argument(
        "--plot", metavar="FILE", help="draw how many identities have how many images (.png, .svg)"
    )
    add_source_options(parser)
    parser.add_argument("--json", metavar="FILE", help="write what was found to FILE")


def run(args):
    """Run the command and return the exit status."""
    from ..data.tools import inspect, inspect_plots
    from ..errors import InputError, one_line
    from ..files import write_json

    check_outputs(("--sheet", args.sheet), ("--plot", args.plot), ("--json", args.json))
    what, shown_path = _recognise(args)
    if what == "pack":
        if args.plot:
            raise InputError("--plot shows the identities of a training set; a pack has none")
        found = inspect.inspect_pack(shown_path, progress=True)
        rows = [
            ("pack", found["path"]),
            ("pairs", f"{found['pairs']}: {found['same']} same, {found['different']} different"),
            ("sha256", found["sha256"]),
            ("known", _known(found)),
        ]
    elif what == "records":
        found = inspect.inspect_records(shown_path, cache=inspection_cache())
        rows = _records(found)
    else:
        found = inspect.inspect_source(shown_path, ", ".join(args.path))
        rows = _source(found)
    problems = found["problems"]
    rows.append(("problems", str(len(problems)) if problems else "none"))
    print_rows(rows)
    for problem in problems[:20]:
        sys.stdout.write(f"  {one_line(problem)}\n")
    if len(problems) > 20:
        sys.stdout.write(f"  and {len(problems) - 20} more (--json has all)\n")
    if args.json:
        write_json(args.json, found)
    if args.sheet:
        shown = inspect_plots.contact_sheet(shown_path, args.sheet)
        kind = "pairs from" if what == "pack" else "identities"
        print_rows([("sheet", f"{args.sheet}: {kind} {', '.join(map(str, shown))}, a row each")])
    if args.plot:
        inspect_plots.plot_identities(found, args.plot)
        print_rows([("plot", args.plot)])
    return 0


def _recognise(args):
    """Return what lies there (pack, records or source), and its path or the open source."""
    import pathlib

    from ..data.formats.file_kind import recognise_file
    from ..data.sources import open_source
    from ..data.sources.records import record_files

    options = source_options(args)
    path = pathlib.Path(args.path[0])
    one = len(args.path) == 1
    if one and path.is_file() and (path.suffix == ".bin" or recognise_file(path).form == "pickle"):
        return "pack", path
    single = one and (path.suffix == ".rec" or any(path.glob("*.rec")))
    if single and not any(value for name, value in options.items() if name != "split"):
        files = record_files(path, options["split"])
        if len(files) == 1:
            return "records", files[0]
    return "source", open_source(args.path, **options)


def _source(found):
    each = found["images_each"]
    sizes = sorted(found["sizes"].items(), key=lambda item: -item[1])
    shown = ", ".join(f"{size} ({count:,})" for size, count in sizes[:3])
    rows = [
        (found["kind"], found["path"]),
        ("images", f"{found['images']:,}"),
        ("identities", f"{found['identities']:,}"),
    ]
    if found["groups"]:
        groups = [f"{name or 'none'} {count:,}" for name, count in found["groups"].items()]
        more = f" and {len(groups) - 10} more" if len(groups) > 10 else ""
        rows.append(("groups", f"identities: {', '.join(groups[:10])}{more}"))
    rows += [
        (
            "images each",
            f"{each['least']} to {each['most']}, median {each['median']:g}, "
            f"mean {each['mean']:.1f}",
        ),
        (
            "size",
            f"{shown}{', ...' if len(sizes) > 3 else ''}, {found['bytes_each'] / 1000:.1f} kB "
            f"each, {found['grey']:,} grey",
        ),
        ("duplicates", _duplicates(found)),
        ("known", _known(found)),
    ]
    if found["ignored"]:
        name, reason = found["ignored"][0]
        rows.append(("passed over", f"{len(found['ignored']):,}, such as {name}: {reason}"))
    return rows


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
        group = found["duplicate_groups"][0]
        first = group.get("records") or group["images"]
        word = "records " if "records" in group else ""
        text += f", such as {word}{' and '.join(map(str, first[:3]))} (--json lists them)"
    return text
