"""The configuration of a training run: one tree of checked options.

Steps may be given as a whole number, or as a share of the run: ``0.1`` is a tenth of all steps.
`gluonface.training.config.recipes` reads it from recipes, files and the command line.
"""

import dataclasses
from typing import Any, Optional, Union

from ...data.augment import read_augmentations
from ...data.samplers import get_sampler
from ...errors import InputError
from .options import option, read_section
from .steps import read_changes

__all__ = ["Config", "config_from_dict", "config_to_dict", "read_margin"]


@dataclasses.dataclass
class ModelConfig:
    """The backbone."""

    name: str = option("mobilefacenet", "architecture, as `gluonface models` lists them")
    embedding_size: Optional[int] = option(
        None, "size of the embedding; empty: that of the published model", low=1
    )
    init: Optional[str] = option(None, "weights to start from: FILE.params, run folder or prefix")
    batch_norm: dict[str, Any] = option(  # noqa: RUF009
        {}, "BatchNorms whose eps or fixed gamma differs from the architecture's; filled in by init"
    )


@dataclasses.dataclass
class LossConfig:
    """The margin loss. Further keys (margin, scale, ...) are arguments of that loss.

    ``loss: [arcface, {center: 0.01}]`` is the same as ``name: arcface`` with
    ``auxiliary: {center: 0.01}``.
    """

    name: str = option("arcface", "loss, as `gluonface losses` lists them")
    auxiliary: dict[str, Any] = option(  # noqa: RUF009
        {}, "losses added to it: NAME: weight, or NAME: {weight: ..., ...}"
    )
    changes: dict[str, Any] = option(  # noqa: RUF009
        {}, "other losses from later steps on: WHEN: NAME, or WHEN: {name: NAME, margin: ...}"
    )
    arguments: dict[str, Any] = option({}, "arguments of the loss")  # noqa: RUF009

    OPEN = "arguments"  # keys that are no field of this section go here


@dataclasses.dataclass
class HeadConfig:
    """The classifier around the loss."""

    mode: str = option(
        "sharded",
        "sharded: each process has some class centres; replicated: all, for few classes",
        choices=("sharded", "replicated"),
    )
    sample_rate: Union[float, dict[str, Any]] = option(  # noqa: RUF009
        1.0,
        "share of the class centres used per step, or {WHEN: share}: WHEN is a step, a share of "
        "the run, 'N epochs' or 'score X'",
        above=0,
        high=1,
    )
    sampler: str = option(
        "hash",
        "hash: the same classes on any number of processes; exact: the same number every step",
        choices=("hash", "exact"),
    )
    unbiased: bool = option(False, "weigh sampled classes up so that the denominator is unbiased")
    negative_weight: str = option(
        "inclusion",
        "of binary losses that sample: inclusion weighs sampled classes up, none does not",
        choices=("inclusion", "none"),
    )
    momentum_mode: str = option(
        "frozen",
        "momentum of classes that are not sampled: kept, caught up at their next use, or reset",
        choices=("frozen", "catchup", "reset"),
    )
    centers: str = option(
        "memory", "where the class centres are stored", choices=("memory", "host", "disk")
    )
    centers_path: Optional[str] = option(
        None, "folder for centers = disk; empty: centers in the run folder"
    )
    wire_dtype: str = option(
        "float32",
        "type in which embeddings are sent between processes",
        choices=("float32", "float16"),
    )
    chunk: Optional[int] = option(
        None, "classes computed at a time, to save memory; empty: all", low=1
    )
    init: Optional[str] = option(
        None, "centres of the run that model.init names: new | same | grow | FILE with a label map"
    )
    label_smoothing: float = option(
        0.0, "share of the target spread over all classes", low=0, high=0.9
    )
    filter_above: Optional[float] = option(
        None, "other classes nearer than this cosine are ignored; empty: none", above=0, high=1
    )


@dataclasses.dataclass
class TeacherConfig:
    """The network whose embeddings the distillation losses in loss.auxiliary compare with."""

    source: Optional[str] = option(None, "a model that embeds each batch: any SOURCE, ONNX too")
    embeddings: Optional[str] = option(
        None, "embeddings of the training set that `gluonface embed --out FILE.npy` wrote"
    )
    centers: Optional[str] = option(
        None,
        "class centres for kd_logits: FILE.npy, or means: of the embeddings in teacher.embeddings",
    )
    engine: str = option(
        "auto", "what runs the model", choices=("auto", "openvino", "onnxruntime", "mxnet")
    )
    batch_size: int = option(64, "images per forward pass of the model", low=1)


@dataclasses.dataclass
class DataConfig:
    """Training data, augmentation and sampling."""

    path: Optional[str] = option(None, "folder with train.rec, or the .rec file")
    batch_size: int = option(128, "images per step over all devices and processes", low=1)
    flip: bool = option(True, "mirror half of the images at random")
    augment: list[Any] = option(  # noqa: RUF009
        [], "further augmentations: NAME, or {NAME: {parameter: value}}"
    )
    sampler: Any = option(  # noqa: RUF009
        "shuffled", "which samples are drawn, in which order: NAME, or {NAME: {parameter: value}}"
    )
    workers: Optional[int] = option(None, "decoding threads; empty: as many as useful", low=1)
    max_bad: int = option(0, "unreadable records to skip before stopping", low=0)


@dataclasses.dataclass
class OptimizerConfig:
    """The optimizer."""

    name: str = option("sgd", "optimizer", choices=("sgd", "nag", "adam", "adamw"))
    lr: float = option(0.1, "learning rate at the end of the warm-up", above=0)
    momentum: float = option(0.9, "momentum of sgd and nag", low=0, high=1)
    beta1: float = option(0.9, "decay of the first moment of adam and adamw", low=0, high=1)
    beta2: float = option(0.999, "decay of the second moment of adam and adamw", low=0, high=1)
    epsilon: float = option(1e-8, "small number of adam and adamw", above=0)
    wd: float = option(5e-4, "weight decay", low=0)
    no_decay: bool = option(False, "no weight decay on BatchNorm, biases and PReLU slopes")
    clip_norm: Optional[float] = option(None, "limit of the global gradient norm", above=0)
    max_skips: int = option(
        0, "consecutive steps to skip for a gradient that is not finite, before stopping", low=0
    )
    wire_dtype: str = option(
        "float32",
        "type in which the backbone's gradients are sent between processes",
        choices=("float32", "float16"),
    )


@dataclasses.dataclass
class ScheduleConfig:
    """The learning rate over the run."""

    name: str = option(
        "cosine", "shape after the warm-up", choices=("cosine", "poly", "step", "constant")
    )
    warmup_steps: Union[int, float] = option(0, "steps (or share) from warmup_lr up to lr", low=0)
    warmup_lr: float = option(0.0, "learning rate at the first step of the warm-up", low=0)
    final_lr: float = option(0.0, "learning rate at the last step (cosine, poly)", low=0)
    power: float = option(2.0, "power of poly", above=0)
    milestones: list[Union[int, float]] = option(  # noqa: RUF009
        [], "steps (or shares) at which step multiplies", low=0
    )
    factor: float = option(0.1, "what step multiplies with", above=0, high=1)


@dataclasses.dataclass
class MarginWarmupConfig:
    """The margin's warm-up: plain softmax until `start`, the full margin from `end`."""

    start: Union[int, float] = option(0, "step (or share) at which the margin begins", low=0)
    end: Union[int, float] = option(0, "step (or share) at which the margin is full", low=0)


@dataclasses.dataclass
class TrainConfig:
    """How long, on what, in which precision."""

    steps: Optional[int] = option(None, "length of the run in steps", low=1)
    epochs: Optional[int] = option(None, "length of the run in epochs, in place of steps", low=1)
    accumulate: int = option(
        1,
        "micro-batches that the batch of a step is split into, one after the other",
        low=1,
    )
    dtype: str = option(
        "float32", "arithmetic of the backbone", choices=("float32", "float16", "bfloat16")
    )
    ctx: str = option("cpu", "devices: cpu | gpu | cpu0,cpu1 | gpu0,gpu1,...")
    parallel: str = option(
        "local", "processes: one, or those of horovodrun", choices=("local", "horovod")
    )
    seed: int = option(
        0, "seed of weights, order of images, flips and dropout", low=0, high=2**31 - 1
    )


@dataclasses.dataclass
class EvalConfig:
    """Verification during training."""

    packs: list[str] = option([], "verification packs (.bin)")  # noqa: RUF009
    every: int = option(2000, "steps between verifications", low=1)
    at_start: bool = option(False, "verify the network before the first step as well")
    flip: str = option("none", "test-time flip", choices=("none", "sum", "concat"))
    folds: int = option(10, "folds of the accuracy", low=2)
    batch_size: int = option(64, "images per forward pass", low=1)


@dataclasses.dataclass
class LogConfig:
    """Log lines, TensorBoard events and curves."""

    every: int = option(20, "steps between two log lines", low=1)
    tensorboard: bool = option(True, "write TensorBoard events")
    curves: bool = option(True, "draw curves.png")


@dataclasses.dataclass
class CheckpointConfig:
    """When the state is saved."""

    every: int = option(1000, "steps between two checkpoints", low=1)
    keep: int = option(1, "newest checkpoints to keep, besides the best", low=1)


@dataclasses.dataclass
class ExportConfig:
    """What is exported at the end."""

    onnx: bool = option(False, "write ONNX beside symbol and params (needs gluonface[onnx])")
    checkpoint: str = option(
        "best",
        "weights to export; best is chosen on the verification packs",
        choices=("best", "last"),
    )


@dataclasses.dataclass
class Config:
    """The whole configuration. `config_from_dict` makes a checked one."""

    recipe: Optional[str] = option(None, "the recipe this came from")
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    teacher: TeacherConfig = dataclasses.field(default_factory=TeacherConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    margin_warmup: MarginWarmupConfig = dataclasses.field(default_factory=MarginWarmupConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    eval: EvalConfig = dataclasses.field(default_factory=EvalConfig)
    log: LogConfig = dataclasses.field(default_factory=LogConfig)
    checkpoint: CheckpointConfig = dataclasses.field(default_factory=CheckpointConfig)
    export: ExportConfig = dataclasses.field(default_factory=ExportConfig)


def config_from_dict(tree: dict) -> Config:
    """Return the `Config` of a nested dictionary, every key and value checked.

    Raises
    ------
    InputError
        On an unknown key (the nearest is suggested), a value of the wrong type or out of range.
    """
    config = read_section(Config, with_loss_section(tree))
    _move_label_smoothing(config)
    _check_data(config)
    _check_teacher(config)
    read_changes(config.head.sample_rate, "head.sample_rate", _check_rate)
    if config.loss.changes:
        read_changes({"0": {}, **config.loss.changes}, "loss.changes", read_margin)
    for key in ("start", "end"):
        _check_share(getattr(config.margin_warmup, key), f"margin_warmup.{key}")
    _check_share(config.schedule.warmup_steps, "schedule.warmup_steps")
    for milestone in config.schedule.milestones:
        _check_share(milestone, "schedule.milestones")
    if config.train.steps is not None and config.train.epochs is not None:
        raise InputError(
            f"train.steps = {config.train.steps} and train.epochs = {config.train.epochs} are both "
            "given; set one of them to null, for example --set train.epochs=null"
        )
    if config.schedule.name == "step" and not config.schedule.milestones:
        raise InputError(
            "schedule.name = 'step' needs schedule.milestones, "
            "for example --set schedule.milestones='[0.5, 0.75]'"
        )
    return config


def with_loss_section(tree: Any) -> Any:
    """Return a tree whose `loss` is a section, from the short `loss: [arcface, {center: 0.01}]`.

    Raises
    ------
    InputError
        If the list is not like that.
    """
    loss = tree.get("loss") if isinstance(tree, dict) else None
    if isinstance(loss, str):
        loss = [loss]
    if not isinstance(loss, list):
        return tree
    entries: list[tuple] = []
    for item in loss:
        item = {item: {}} if isinstance(item, str) else item
        if not isinstance(item, dict) or not item:
            raise InputError(
                f"loss = {loss!r}: {item!r} is neither a loss nor a loss with its weight; "
                "write, for example, [arcface, {center: 0.01}]"
            )
        entries += item.items()
    if not entries:
        raise InputError("loss = [] names no loss; write, for example, [arcface, {center: 0.01}]")
    (name, arguments), *others = entries
    if not isinstance(arguments, dict):
        raise InputError(
            f"loss = {loss!r}: the first is the head and has no weight; give its arguments as "
            f"{{{name}: {{margin: ...}}}}, or its name alone"
        )
    if len(dict(others)) < len(others):
        raise InputError(f"loss = {loss!r} names a loss twice")
    section = {"name": name, **arguments}
    if others:
        section["auxiliary"] = dict(others)
    return {**tree, "loss": section}


def config_to_dict(config: Any) -> dict:
    """Return the nested dictionary of a `Config`; `config_from_dict` takes it back."""
    tree = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name == getattr(config, "OPEN", None):
            tree.update(value)
        else:
            tree[field.name] = config_to_dict(value) if dataclasses.is_dataclass(value) else value
    return tree


def _move_label_smoothing(config):
    """Move label smoothing from the auxiliary losses to the head."""
    auxiliary = config.loss.auxiliary
    key = next((key for key in auxiliary if str(key).lower() == "label_smoothing"), None)
    if key is None:
        return
    value = auxiliary.pop(key)
    if isinstance(value, dict):  # its parameters; {} is the defaults
        from ...loss.auxiliary import get_auxiliary

        value = get_auxiliary("label_smoothing", **value).smoothing
    if config.head.label_smoothing not in (0.0, value):
        raise InputError(
            f"loss.auxiliary.label_smoothing = {value!r} and head.label_smoothing = "
            f"{config.head.label_smoothing!r} are both given; they are the same setting, give one"
        )
    head = {**config_to_dict(config.head), "label_smoothing": value}
    config.head = read_section(HeadConfig, head, "head.", Config)


def _check_rate(value, name):
    """Return a sample rate, checked."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise InputError(f"{name} = {value!r} is no share of the classes; expected 0 < R <= 1")
    return float(value)


def read_margin(value: Any, name: str) -> tuple[str, dict]:
    """Return name and arguments of a loss in `loss.changes`.

    Raises
    ------
    InputError
        If it is neither a name nor a section with one.
    """
    value = {"name": value} if isinstance(value, str) else value
    if value == {}:  # what the run begins with
        return "", {}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise InputError(
            f"{name} = {value!r} names no loss; write, for example, {{name: arcface, margin: 0.5}}"
        )
    return value["name"], {key: entry for key, entry in value.items() if key != "name"}


def _check_teacher(config):
    """Check the teacher; cosine distillation is what a run with one does unless it says more."""
    teacher, auxiliary = config.teacher, config.loss.auxiliary
    if teacher.source is not None and teacher.embeddings is not None:
        raise InputError(
            f"teacher.source = {teacher.source!r} and teacher.embeddings = "
            f"{teacher.embeddings!r} are both given; the teacher is one of them"
        )
    for key, value in auxiliary.items():
        if isinstance(value, dict) and "schedule" in value:
            read_changes(value["schedule"], f"loss.auxiliary.{key}.schedule", _check_factor)
    if teacher.source is None and teacher.embeddings is None:
        return
    if not any(_compares(key) for key in auxiliary):
        config.loss.auxiliary = {**auxiliary, "kd_cosine": {}}


def _check_factor(value, name):
    """Return the factor of a weight, checked."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise InputError(f"{name} = {value!r} is no factor of a weight; expected 0 or more")
    return float(value)


def _compares(key, without_labels=False):
    """Return whether an auxiliary loss compares with a teacher, and, if asked, without labels."""
    from ...loss.auxiliary import AUXILIARY, resolve_auxiliary

    loss = AUXILIARY.get(resolve_auxiliary(str(key)))
    return loss.kind.startswith("teacher") and not (without_labels and loss.uses_labels)


def _check_data(config):
    """Check the augmentations, the sampler and their combinations."""
    data = config.data
    found = read_augmentations(data.augment, "data.augment")
    get_sampler(data.sampler, "data.sampler")
    for one in found:
        labelled = [key for key in config.loss.auxiliary if one.mixes and not _compares(key, True)]
        if labelled:
            raise InputError(
                f"data.augment has {one.name}, whose images have two labels each; "
                f"{', '.join(labelled)} (loss.auxiliary) knows one. Take one of them"
            )
        if one.mixes and config.teacher.embeddings is not None:
            raise InputError(
                f"data.augment has {one.name}, and teacher.embeddings are of whole images; give "
                "the teacher itself (--teacher SOURCE), which then sees the mixed ones"
            )
        if one.name == "flip" and not data.flip:
            raise InputError("data.augment has flip, and data.flip = false switches it off")


def _check_share(value, name):
    if isinstance(value, float) and value > 1.0:
        raise InputError(
            f"{name} = {value} is neither a whole number of steps nor a share between 0 and 1"
        )
