"""`gluonface train`: train a model, or resume an interrupted run."""

import logging
import os
import pathlib
import shlex
import sys

from ..errors import InputError

logger = logging.getLogger(__name__)

# option -> configuration key, for the keys that have an option of their own
SHORT = {
    "data": "data.path",
    "init": "model.init",
    "init_centers": "head.init",
    "teacher": "teacher.source",
    "teacher_embeddings": "teacher.embeddings",
    "packs": "eval.packs",
    "parallel": "train.parallel",
    "ctx": "train.ctx",
}


def add_arguments(parser):
    """Add the arguments of `gluonface train`."""
    parser.argument_default = None
    add = parser.add_argument
    add(
        "--run",
        dest="folder",
        metavar="DIR",
        help="the run folder: all that the run writes goes there",
    )
    add("--recipe", metavar="NAME", help="settings to start from; an unknown name lists them all")
    add("--config", metavar="FILE", help="YAML settings over those of the recipe")
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting over both, such as optimizer.lr=0.1; may be repeated",
    )
    add(
        "--loss",
        metavar="LOSS",
        help="the loss in place of the recipe's: a name of `gluonface losses`; with parameters "
        "'{name: NAME, margin: 0.4}', with others that are added '[NAME, {OTHER: WEIGHT}]'",
    )
    add("--data", metavar="DIR", help="training records: a folder with train.rec, or a .rec file")
    add("--packs", nargs="+", metavar="BIN", help="verification packs to evaluate while training")
    add(
        "--init",
        metavar="SOURCE",
        help="weights to start from: a run folder, an exported prefix, or NAME:FILE.params",
    )
    add(
        "--init-centers",
        metavar="HOW",
        help="class centres of the run that --init names: same | grow | a label map FILE | new",
    )
    add(
        "--teacher",
        metavar="SOURCE",
        help="a model to learn from: a run folder, an exported prefix, a .onnx file, or "
        "NAME:FILE.params (by the losses in loss.auxiliary; by kd_cosine unless they say how)",
    )
    add(
        "--teacher-embeddings",
        metavar="FILE",
        help="the same, from the embeddings that `gluonface embed --views --out FILE.npy` wrote",
    )
    add("--resume", action="store_true", help="go on from the last checkpoint of the run folder")
    add(
        "--resume-from",
        metavar="STEP",
        type=int,
        help="go on from the checkpoint of this step, an older one than the last",
    )
    add("--ctx", metavar="DEVICES", help="cpu | gpu | cpu0,cpu1 | gpu0,gpu1,...")
    add("--parallel", choices=("local", "horovod"), help="horovod: as a process of horovodrun")
    add(
        "--dry-run",
        action="store_true",
        help="print the settings, check what the run checks, stop",
    )
    add("--progress", action="store_true", help="show a progress bar even without a terminal")


def run(args):
    """Run the command."""
    from ..training.config.config import config_to_dict

    config = resolve(args)
    if args.dry_run:
        import yaml

        yaml.safe_dump(config_to_dict(config), sys.stdout, sort_keys=False)
        sys.stdout.flush()
        if config.data.path is None:
            logger.warning("without --data only the settings were checked")
            return 0
        from ..training.run import check

        found = check(config, args.folder, args.resume)
        logger.info(
            "nothing is wrong: %d people, %d images, %d steps (%d per epoch) on %s",
            *(found[key] for key in ("classes", "images", "steps", "steps_per_epoch")),
            ", ".join(found["devices"]),
        )
        return 0
    if args.folder is None:
        raise InputError("--run DIR is missing: the folder that the run writes to")
    from ..training.run import train

    argv = ["gluonface", *sys.argv[1:]]
    progress = args.progress or None
    trainer = train(config, args.folder, args.resume, argv, progress, args.resume_from)
    if trainer.stop_reason is not None:
        logger.error(
            "stopped by %s at step %d of %d; everything is saved. Go on with: %s",
            trainer.stop_reason,
            trainer.progress.step,
            trainer.steps,
            resume_command(args),
        )
        return 130 if trainer.stop_reason == "SIGINT" else 1
    if trainer.comm.rank == 0:
        sys.stdout.write(f"{pathlib.Path(args.folder)}\n")
    return 0


def resume_command(args):
    """Return the command that goes on with a run, in as many processes."""
    size = os.environ.get("HOROVOD_SIZE", "")
    start = ""
    if size.isdigit() and int(size) > 1:
        start = f"horovodrun -np {size} "
        if os.environ.get("HOROVOD_CROSS_SIZE", "1") not in ("", "1"):
            start += "-H HOSTS "
    return f"{start}gluonface train --run {shlex.quote(str(args.folder))} --resume"


def after_interrupt(args):
    """Return how to go on after Ctrl-C, or None if there is nothing to go on with."""
    from ..training.run_folder import RunFolder

    if args.folder is None or not RunFolder(args.folder).exists():
        return None
    return f"go on with: {resume_command(args)}"


def resolve(args):
    """Return the `Config` of the arguments: recipe < file < command line.

    With ``--resume`` the run's own config.yaml takes the place of recipe and file.
    """
    from ..training.config.recipes import load_config, parse_override
    from ..training.run_folder import RunFolder

    overrides = [
        (key, getattr(args, option))
        for option, key in SHORT.items()
        if getattr(args, option) is not None
    ]
    if args.loss is not None:
        overrides.append(parse_override(f"loss={args.loss}"))
    overrides += [parse_override(text) for text in args.set]
    args.resume = args.resume or args.resume_from is not None
    if args.resume:
        if args.folder is None:
            raise InputError("--resume needs --run DIR: the run to go on with")
        stored = RunFolder(args.folder).config
        if stored.is_file():
            RunFolder(args.folder).require_whole_config()
            config = load_config(file=stored, overrides=overrides)
            if args.recipe is not None and args.recipe != config.recipe:
                raise InputError(
                    f"{args.folder} was started with the recipe {config.recipe!r}, not "
                    f"{args.recipe!r}; leave --recipe out, or choose another --run"
                )
            return config
        if not overrides and args.recipe is None and args.config is None:
            raise InputError(f"--resume: {args.folder} holds no run (there is no {stored})")
    return load_config(args.recipe, args.config, overrides)
