"""An estimate of a sharded head's memory and traffic, before anything is allocated."""

import dataclasses

from ..errors import InputError

__all__ = ["FIRST_USE", "MAPPED", "HeadEstimate", "estimate_head"]

SLOTS = {"sgd": 1, "nag": 1, "adamw": 2}
BYTES = {None: 0, "float32": 4, "float16": 2}
# Memory of a process beside the head's arrays: Python, MXNet, Horovod (161 MiB as measured with
# MXNet 1.9.1 on Linux; other builds and machines take more), and the buffers of MXNet's threads and
# operators at their first use.
FIRST_USE = 39 << 20
PROCESS = (161 << 20) + FIRST_USE
NUMBERS = 80  # bytes for each class of a step: ids of this and the next, lengths, factors
MAPPED = 64 << 20  # bytes of centres on disk that are mapped until all are unmapped
DRAWING = 12 << 20  # the thread that draws the next step's classes
BLOCK = 1 << 20  # numbers of a binary loss that are computed at a time, at most
SPARE = 1 / 64  # room for a few more rows, see `HostStore.buffer`


@dataclasses.dataclass
class HeadEstimate:
    """The sizes of one rank, the first, in bytes.

    Attributes
    ----------
    rows, sampled : int
        Classes of the rank, and how many of them are in a step.
    weight, state, banks : int
        Centres, the optimizer's state of them, and embeddings that are kept of each class.
    copies : int
        The sampled rows and their gradients; without sampling the gradients alone.
    logits : int
        Of all samples to the sampled classes.
    embeddings : int
        Gathered embeddings and their gradients.
    numbers : int
        Ids and lengths of the sampled classes, how they are drawn, and spare room.
    mapped : int
        Pages of files on disk that are in memory as part of the process.
    on_disk : bool
        Whether `weight`, `state` and `banks` are on disk instead of in memory.
    wire : dict of str to int
        Bytes that a rank sends in a step, by collective; it receives as many.
    process : int
        What the process takes without the head.
    """

    rows: int
    sampled: int
    weight: int
    state: int
    banks: int
    copies: int
    logits: int
    embeddings: int
    numbers: int
    mapped: int
    on_disk: bool
    wire: dict
    process: int = PROCESS

    @property
    def floor(self):
        """The least memory: weights, optimizer state, banks, sampled rows and gradients."""
        return (0 if self.on_disk else self.weight + self.state + self.banks) + self.copies

    @property
    def memory(self):
        """Memory of the process at its peak, nothing but the head in it."""
        return self.process + self.own

    @property
    def own(self):
        """The head's share of `memory`."""
        return self.floor + self.logits + self.embeddings + self.numbers + self.mapped

    @property
    def sent(self):
        """All bytes that a rank sends in a step."""
        return sum(self.wire.values())


def estimate_head(
    classes,
    embedding_size,
    batch,
    ranks=1,
    sample_rate=1.0,
    optimizer="sgd",
    centers="memory",
    wire_dtype="float32",
    chunk=None,
    subcenters=1,
    mode="sharded",
    updates_itself=False,
    lazy=False,
    two_anchors=False,
    uss=None,
):
    """Return the `HeadEstimate` of a head whose margin leaves the other classes' cosines alone.

    Parameters
    ----------
    classes, embedding_size : int
    batch : int
        Samples of all ranks together.
    ranks : int, default 1
    sample_rate : float, default 1.0
    optimizer : {"sgd", "nag", "adamw"}
        The first two with momentum.
    centers : {"memory", "host", "disk"}
    wire_dtype : {"float32", "float16"}
    chunk : int, optional
    subcenters : int, default 1
    mode : {"sharded", "replicated"}
    updates_itself : bool, default False
        Whether the head does so at a sample rate of 1 with its centres in memory, too.
    lazy : bool, default False
        Whether it is a binary loss in a head that updates itself: without an array for the
        gradients of the centres, and with derivatives by cosines in place of logits, if the batch
        is smaller than the embedding.
    two_anchors : bool, default False
        Whether LVFace's bank is kept.
    uss : {"float32", "float16"}, optional
        How the memory of USS is stored, if there is one.
    """
    for name, value in (
        ("classes", classes),
        ("embedding size", embedding_size),
        ("batch", batch),
        ("ranks", ranks),
    ):
        if value < 1:
            raise InputError(f"the number of {name} is {value}; expected at least 1")
    if not 0.0 < sample_rate <= 1.0:
        raise InputError(f"the sample rate is {sample_rate}; it must be in (0, 1]")
    rows = -(-classes // ranks)
    updates_itself = updates_itself or sample_rate < 1.0 or centers != "memory"
    sampled = rows if sample_rate == 1.0 else max(1, round(rows * sample_rate))
    row = 4 * embedding_size * subcenters
    width = 2 if wire_dtype == "float16" else 4
    ring = (ranks - 1) / ranks
    wire = {
        "labels": round(ring * batch * 16),
        "x": round(ring * batch * embedding_size * width),
        "softmax": round(ring * ranks * batch * 16),
        "grad": round(2 * ring * batch * 4),
        "gx": round(ring * batch * embedding_size * width),
    }
    if two_anchors:
        wire["softmax"] += round(ring * ranks * batch * 12)
    copies = 2 if updates_itself else 1
    if mode == "replicated" and ranks > 1:
        rows = sampled = classes
        copies = 3  # this rank's gradients, those of all ranks, and where Gluon wants them
        batch = -(-batch // ranks)
        wire = {
            "labels": wire["labels"],
            "stats": round(2 * ring * batch * ranks * 12),
            "gweight": round(2 * ring * classes * row),
        }
    logits = 4 * batch * min(sampled, chunk or sampled) * subcenters
    if lazy:
        copies = 1 if sampled < rows or centers == "disk" else 0
        if chunk is not None or batch >= embedding_size:
            logits = 4 * min(batch * sampled, 3 * BLOCK)
        wire["loss"] = round(2 * ring * batch * 4)
        wire["gshared"] = round(2 * ring * 4)
        del wire["softmax"]
    if uss and not (mode == "replicated" and ranks > 1):
        again = round(ring * batch * embedding_size * width)
        wire["uss"] = again + round(2 * ring * (2 * batch + 1) * 4)
    bank_bytes = 4 * two_anchors + BYTES[uss]
    stored = rows * row * (1 + SLOTS[optimizer]), rows * embedding_size * bank_bytes
    return HeadEstimate(
        rows=rows,
        sampled=sampled,
        weight=rows * row,
        state=rows * row * SLOTS[optimizer],
        banks=stored[1],
        copies=sampled * row * copies,
        logits=logits,
        embeddings=4 * (4 + bool(bank_bytes)) * batch * embedding_size,
        numbers=NUMBERS * sampled
        + (2 * 4 * BLOCK if bank_bytes else 0)
        + round(SPARE * copies * sampled * row if updates_itself else 0)
        + (DRAWING if sample_rate < 1.0 else 0),
        mapped=sum(min(MAPPED, size) for size in stored) if centers == "disk" else 0,
        on_disk=centers == "disk",
        wire=wire if ranks > 1 else dict.fromkeys(wire, 0),
    )
