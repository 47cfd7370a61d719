"""Damaged files for every reader: none may crash, hang, take the memory, or end in a traceback.

A table of readers is a module beside the tests with ``READERS = {name: Reader(...)}``. To add a
reader, add a row: how to write a valid file, how to read it, and how to change its structure with
one of the functions below (`json_text`, `pickle_stream`, `protobuf`, `npy`, `table`, `members`).

    outcome = mutations.run("model_readers", "safetensors", 500, tmp_path)
    assert outcome.problems == []

Half of the mutations change bytes, half change the structure. Each depends on the reader's name
and its number alone, so `python tests/mutations.py write MODULE READER KIND NUMBER FOLDER` writes
it again. The files are read in a process of its own, with 1 GB of memory above what that process
has when it has read the valid file, and a time limit for each file.
"""

import dataclasses
import importlib
import io
import json
import os
import pathlib
import pickle
import pickletools
import random
import resource
import select
import subprocess
import sys
import tempfile
import traceback
import typing
import warnings
import zipfile

MEMORY = 1 << 30  # bytes above the process that has read the valid file
SECONDS = 60  # for one file; the machine may be busy
LONGEST = 2000  # characters of an error's text
KINDS = ("bytes", "structure")


class Reader(typing.NamedTuple):
    """A row of a table.

    `make` writes a valid file, and what belongs beside it, into an empty folder and returns the
    path of the file that is to be damaged. `read` reads that path and whatever follows from it;
    it may raise errors of gluonface alone. `structure` returns other bytes of the same format.
    """

    make: typing.Callable[[pathlib.Path], pathlib.Path]
    read: typing.Callable[[pathlib.Path], typing.Any]
    structure: typing.Callable[[bytes, random.Random], bytes]


@dataclasses.dataclass
class Outcome:
    """How many files were refused, how many were read, and what went wrong, as text."""

    refused: int = 0
    read: int = 0
    problems: list = dataclasses.field(default_factory=list)


# --- bytes


def some_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip bits, overwrite, cut, take out, insert, repeat, exchange, or blank a run of bytes."""
    data = bytearray(data)
    at, other = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    length = rng.choice((1, 2, 4, 8, 40, 1000))
    kind = rng.randrange(10)
    if kind == 0:
        return bytes(data[:at])
    if kind == 1:
        del data[at : at + length]
    elif kind == 2:
        data[at:at] = rng.randbytes(length)
    elif kind == 3:
        data[at:at] = data[at : at + length] * rng.choice((1, 2, 50))
    elif kind == 4:
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == 5:
        data[at : at + length] = b"\xff" * len(data[at : at + length])
    elif kind == 6:
        first, second = sorted((at, other))
        data = data[second:] + data[first:second] + data[:first]
    elif data:
        for _ in range(length if kind == 7 else 1):
            place = rng.randrange(min(len(data), rng.choice((64, 4096, len(data)))))
            data[place] = rng.randrange(256) if kind < 9 else data[place] ^ 1 << rng.randrange(8)
    return bytes(data)


# --- values that a field of text, JSON or a table may be given

DIGITS = "9" * 5000  # Python refuses to convert so many, and to print them
NUMBERS = (
    *("-1", "0", "1", "-0", "0.5", "1e308", "1e400", "-1e400", "NaN", "Infinity", "-Infinity"),
    *("127", "256", "65536", "2147483647", "2147483648", "-2147483649", "4294967296"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551616", "1" + "0" * 40),
    *(DIGITS, "-" + DIGITS, "1e" + DIGITS, "0." + DIGITS),
)
TEXTS = (
    *("", " ", "x", "../x", "/etc/passwd", "\x1b[31m", "\0", "\ud800", "é", "%s%n", "a" * 100_000),
    *("nan", "inf", "None", "True", "-1", "1" * 5000, "(1,)", "(" * 5000, "١٢", "1_0"),
)
DEEP = "[" * 100_000 + "]" * 100_000
DEEP_OBJECT = '{"a":' * 50_000 + "1" + "}" * 50_000


class Raw(str):
    """JSON text that stands as it is: numbers and depths that Python's own writer refuses."""


class Pairs(list):
    """An object of JSON as pairs, so that a key can stand twice."""


def _json_value(rng):
    return rng.choice(
        (
            *(Raw(number) for number in rng.sample(NUMBERS, 8)),
            *rng.sample(TEXTS, 4),
            *(True, False, None, [], Pairs(), [[]], [None] * 3, Pairs([("a", 1)])),
            *(Raw(DEEP), Raw(DEEP_OBJECT), [1, 2, 3], [1.5] * 1000),
        )
    )


def _json_dump(value):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        items = (f"{json.dumps(key)}: {_json_dump(item)}" for key, item in value)
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json_dump, value)) + "]"
    return json.dumps(value)


def json_text(data: bytes, rng: random.Random) -> bytes:
    """Change one or two values, keys or elements of a JSON text (YAML reads it as well)."""
    whole = [json.loads(data, object_pairs_hook=Pairs)]
    for _ in range(rng.choice((1, 1, 2))):
        places = []  # (container, index)
        stack = [whole]
        while stack:
            top = stack.pop()
            for index, item in enumerate(top):
                item = item[1] if isinstance(top, Pairs) else item
                places.append((top, index))
                if isinstance(item, list):
                    stack.append(item)
        # First the depth, then the place: of 1,000 numbers one is as good as another.
        top, index = rng.choice(places)
        kind = rng.randrange(8)
        pair = isinstance(top, Pairs)
        if kind <= 4 or top is whole:
            value = _json_value(rng)
            top[index] = (top[index][0], value) if pair else value
        elif kind == 5:
            del top[index]
        elif kind == 6:
            top.insert(rng.randrange(len(top) + 1), top[index])
        elif pair:
            key = rng.choice((*TEXTS, top[rng.randrange(len(top))][0]))
            top[index] = (key, top[index][1])
        else:
            rng.shuffle(top)
    return _json_dump(whole[0]).encode("utf-8", "surrogatepass")


def json_lines(data: bytes, rng: random.Random) -> bytes:
    """Change one line of JSON texts, or the lines themselves."""
    lines = data.splitlines()
    place = rng.randrange(len(lines))
    if rng.random() < 0.3:
        return table(data, rng)
    lines[place] = json_text(lines[place], rng)
    return b"\n".join(lines) + b"\n"


def table(data: bytes, rng: random.Random) -> bytes:
    """Change cells, lines or the delimiters of a text with a row a line."""
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    for _ in range(rng.choice((1, 1, 3))):
        place, kind = rng.randrange(len(lines) + 1), rng.randrange(8)
        if kind == 0:
            lines[place : place + 1] = []
        elif kind == 1:
            lines.insert(place, rng.choice(lines or [""]))
        elif kind == 2:
            lines.insert(place, rng.choice(("", "#", "\ufeff", "\0", "a" * 100_000, "," * 1000)))
        elif place < len(lines):
            line = lines[place]
            delimiter = next((d for d in ("\t", ",", " ") if d in line), " ")
            cells = line.split(delimiter)
            cell = rng.randrange(len(cells))
            if kind == 3:
                del cells[cell]
            elif kind == 4:
                cells.insert(cell, cells[cell])
            elif kind == 5:
                delimiter = rng.choice(("\t", ",", " ", ";", "\r", ""))
            else:
                cells[cell] = rng.choice((rng.choice(NUMBERS), rng.choice(TEXTS)))
            lines[place] = delimiter.join(cells)
    text = rng.choice(("\n", "\n", "\r\n", "\n\n")).join(lines)
    return text.encode("utf-8", "surrogatepass" if "\ud800" in text else "surrogateescape")


# --- NumPy's files


def npy(data: bytes, rng: random.Random) -> bytes:
    """Change the header of a .npy file: its dict, its length, or its version."""
    start = 10 if data[6] == 1 else 12
    end = start + int.from_bytes(data[8:start], "little")
    header, rest = data[start:end].decode("latin-1"), data[end:]
    old = rng.choice([word for word in header.replace("'", " ").split() if word != "}"])
    descr = ("'|O'", "'O'", "'<f8'", "'<U9999999'", "'V0'", "[('a','<f4')]", "'<c16'", "'>i8'")
    shapes = ("(-1,)", "(1,)*99", f"({DIGITS},)", "(2**62,)", "(4611686018427387905, 4)", "()")
    new = rng.choice((*descr, *shapes, *rng.sample(NUMBERS, 4), "True", "(" * 3000, "'" + "a" * 70))
    if rng.random() < 0.3:
        new = rng.choice((f"'shape': {rng.choice(shapes)}, ", "lambda: 1", "1 if x else 2"))
    header = header.replace(old, new, 1)
    version = data[6:8] if rng.random() < 0.8 else bytes((rng.randrange(5), rng.randrange(3)))
    encoded = header.encode("latin-1")
    width = start - 8
    length = len(encoded) if rng.random() < 0.8 else rng.choice((0, 1, 30_000, 65_535))
    return (data[:6] + version + min(length, 65535).to_bytes(2, "little").ljust(width, b"\0")) + (
        encoded + rest
    )


def members(change: dict) -> typing.Callable[[bytes, random.Random], bytes]:
    """Return a function that changes members of a zip, such as a .npz or a .pth.

    Parameters
    ----------
    change : dict
        The end of a member's name -> what changes its content.
    """

    def changed(data, rng):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = [(info.filename, archive.read(info)) for info in archive.infolist()]
        place = rng.randrange(len(parts))
        inner = [(i, f) for i, (n, _) in enumerate(parts) for e, f in change.items() if
                 n.endswith(e)]  # fmt: skip
        packing, kind = zipfile.ZIP_STORED, rng.randrange(10)
        if kind >= 4 and inner:
            place, function = rng.choice(inner)
            parts[place] = parts[place][0], function(parts[place][1], rng)
        elif kind == 0:
            del parts[place]
        elif kind == 1:
            parts.append((parts[place][0], rng.randbytes(10)))
        elif kind == 2:
            name = rng.choice((parts[place][0] + "x", "../x", "/x", "x/y", "\ud7ff", "a" * 60_000))
            parts[place] = (name, parts[place][1])
        else:
            packing = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
            parts[place] = parts[place][0], bytes(4 << 20) + parts[place][1]
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that stand twice
            with zipfile.ZipFile(buffer, "w", packing) as archive:
                for name, content in parts:
                    archive.writestr(name, content)
        return buffer.getvalue()

    return changed


# --- pickles


def _pickled_value(rng):
    number = rng.choice((-1, 0, 1, 2**31, 2**40, 2**63, -(2**63), 10**4400))
    text = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
    return rng.choice(
        (
            *(b"N", b"\x88", b"}", b"]", b")", b"\x8f", b"(", b"0", b"2", b"t", b"e", b"u", b"b"),
            *(b"R", b"Q", b"\x81", b"\x85", b"\x86", b"\x87", b"a", b"s", b"\x91", b"\x94", b"."),
            pickle.dumps(number, 2)[2:-1],
            pickle.dumps(rng.choice((1e400, float("nan"), 1.5)), 2)[2:-1],
            b"X" + len(text).to_bytes(4, "little") + text,
            *(b"r\xff\xff\xff\x7f", b"j\xff\xff\xff\x7f", b"p99999999999\n", b"g12\n"),
            *(b"I" + DIGITS.encode() + b"\n", b"L" + DIGITS.encode() + b"L\n", b"I" + b"x\n"),
            *(b"\x8e" + b"\xff" * 8, b"\x96" + b"\xff" * 7 + b"\x7f", b"T\xff\xff\xff\x7f"),
            *(b"cos\nsystem\n", b"cbuiltins\neval\n", b"ccollections\nCounter\n", b"cx.y\nZ\n"),
            *(b"(" * 100_000, b"]" * 100_000, b"\x85" * 100_000, b"\x82\x01", b"\x97", b"\x98"),
        )
    )


def pickle_stream(data: bytes, rng: random.Random) -> bytes:
    """Replace, take out, repeat or exchange operations of the first pickle of a stream."""
    stream = io.BytesIO(data)
    starts = [position for _, _, position in pickletools.genops(stream)]
    end = stream.tell()
    parts = [data[a:b] for a, b in zip(starts, [*starts[1:], end])]
    for _ in range(rng.choice((1, 1, 2))):
        place, kind = rng.randrange(len(parts)), rng.randrange(8)
        if kind == 0:
            del parts[place]
        elif kind == 1:
            parts.insert(place, parts[place])
        elif kind == 2:
            other = rng.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        elif kind == 3:
            parts.insert(place, _pickled_value(rng))
        elif kind == 4 and len(parts[place]) > 1:  # another argument of the same operation
            parts[place] = parts[place][:1] + rng.randbytes(len(parts[place]) - 1)
        else:
            parts[place] = _pickled_value(rng)
        if not parts:
            break
    return b"".join(parts) + data[end:]


# --- protobuf


def _varint(value):
    value %= 1 << 64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def _fields(data):
    """Return [[number, wire type, value]] of a message, or None if it is none."""
    fields, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    try:
        while at < len(data):
            tag = varint()
            number, kind = tag >> 3, tag & 7
            if kind == 0:
                value = varint()
            else:
                size = {1: 8, 5: 4}.get(kind) or (varint() if kind == 2 else 1 << 60)
                if not number or at + size > len(data):
                    return None
                value, at = data[at : at + size], at + size
            fields.append([number, kind, value])
    except IndexError:
        return None
    return fields


def _message(fields):
    parts = []
    for number, kind, value in fields:
        parts.append(_varint(number << 3 | kind))
        if kind == 0:
            parts.append(_varint(value))
        else:
            parts.append(_varint(len(value)) + value if kind == 2 else value)
    return b"".join(parts)


def protobuf(data: bytes, rng: random.Random) -> bytes:
    """Change a field of a message at some depth: its value, number, type, or how often it is."""
    fields = _fields(data)
    if not fields:
        return some_bytes(data, rng)
    place = rng.randrange(len(fields))
    number, kind, value = fields[place]
    big = [i for i, field in enumerate(fields) if field[1] == 2 and len(field[2]) > 20]
    if big and rng.random() < 0.85:  # deeper
        place = rng.choice(big)
        inner = _fields(fields[place][2])
        if inner and all(field[0] < 64 for field in inner):
            fields[place][2] = protobuf(fields[place][2], rng)
            return _message(fields)
        number, kind, value = fields[place]
    change = rng.randrange(8)
    if change == 0:
        del fields[place]
    elif change == 1:
        fields.insert(rng.randrange(len(fields)), list(fields[place]))
    elif change == 2:
        fields[place][0] = rng.choice((number + 1, max(1, number - 1), rng.randrange(1, 30), 1000))
    elif change == 3:
        fields[place][1:] = rng.choice(([0, rng.getrandbits(64)], [2, b""], [5, bytes(4)]))
    elif change == 4 and len(fields) > 1:
        other = rng.randrange(len(fields))
        fields[place], fields[other] = fields[other], fields[place]
    elif change == 5 and kind == 2:  # deep nesting of the same field
        for _ in range(300):
            value = _message([[number, 2, value[:2000]]])
        fields[place][2] = value
    elif kind == 0:
        fields[place][2] = rng.choice((0, 1, 2, -1, 10, 16, 99, 2**31 - 1, 2**31, 2**40, 2**63 - 1))
    elif kind == 2:
        some = (
            b"",
            b"x",
            b"\xff\xfe",
            b"data",
            value[:-1],
            value + b"\0",
            value * 2,
            b"a" * 70_000,
        )
        packed = _varint(2**40) + _varint(0), _varint(-1), _varint(2**33) * 4, b"\0"
        fields[place][2] = rng.choice((*some, *packed))
    else:
        fields[place][2] = rng.choice((bytes(len(value)), b"\xff" * len(value)))
    return _message(fields)


# --- one mutation, many, and the process that reads them


def mutated(reader: Reader, name: str, kind: str, number: int, valid: bytes) -> bytes:
    """Return mutation `number` of a reader's valid file."""
    rng = random.Random(f"{name} {kind} {number}")
    for _ in range(20):
        change = some_bytes if kind == "bytes" else reader.structure
        data = change(valid, rng)
        if data != valid:
            break
    return data


def run(module: str, name: str, count: int, folder: pathlib.Path, seconds=SECONDS) -> Outcome:
    """Read `count` files of each kind; the process is started again after a crash or a hang."""
    outcome, first = Outcome(), 0
    folder = pathlib.Path(folder) / name.replace(" ", "-")
    total = len(KINDS) * count
    while first < total:
        first = _run_from(module, name, first, count, folder, seconds, outcome)
    return outcome


def _run_from(module, name, first, count, folder, seconds, outcome):
    read_end, write_end = os.pipe()
    paths = [str(pathlib.Path(__file__).parents[1]), *(path for path in sys.path if path)]
    log = folder.with_suffix(".log")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as errors:
        child = subprocess.Popen(
            [
                *(sys.executable, "-X", "faulthandler", __file__, "read", module, name),
                *(str(first), str(count), str(folder), str(write_end)),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=[write_end],
        )
    os.close(write_end)
    # It imports and reads the valid file first.
    number, limit, pending, ended = None, 60 + seconds, b"", False
    with open(read_end, "rb", buffering=0) as pipe:
        while True:
            if not select.select([pipe], [], [], limit)[0]:
                child.kill()
                child.wait()
                outcome.problems.append(_told(name, number, count, f"hangs for {limit} s"))
                break
            block = pipe.read(1 << 16)
            if not block:
                if child.wait() != 0:
                    end = log.read_text(errors="replace")[-1500:]
                    what = f"ends the process with {child.returncode}: {end}"
                    outcome.problems.append(_told(name, number, count, what))
                elif number != len(KINDS) * count - 1 or not ended:
                    outcome.problems.append(_told(name, number, count, "ends without a word"))
                break
            *lines, pending = (pending + block).split(b"\n")
            for line in lines:
                told = json.loads(line)
                ended = "begin" not in told
                if not ended:
                    number, limit = told["begin"], seconds
                elif "problem" in told:
                    outcome.problems.append(_told(name, number, count, told["problem"]))
                else:
                    setattr(outcome, told["as"], getattr(outcome, told["as"]) + 1)
    if number is None:  # the valid file already
        return len(KINDS) * count
    return number + 1


def _told(name, number, count, what):
    if number is None:
        return f"{name}, the valid file: {what}"
    return f"{name} {KINDS[number // count]} {number % count}: {what}"


def _read(module, name, first, count, folder, pipe):
    """Read mutations from number `first` on; tell about each through a pipe."""
    from gluonface.errors import GluonfaceError

    reader = importlib.import_module(module).READERS[name]
    os.fsync = lambda file: None  # thousands of them wait for a disk that others use too

    def tell(**what):
        os.write(pipe, json.dumps(what).encode() + b"\n")

    import logging

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        path = reader.make(place)
        valid = path.read_bytes()
        beside = {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}
        reader.read(path)  # it must be valid; and what is imported late is imported now
        pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY + len(valid)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for number in range(first, len(KINDS) * count):
            kind = KINDS[number // count]
            data = mutated(reader, name, kind, number % count, valid)
            for file, content in beside.items():  # a reader may write beside
                if not file.is_file() or file.read_bytes() != content:
                    file.write_bytes(content)
            path.write_bytes(data)
            tell(begin=number)
            try:
                reader.read(path)
                tell(**{"as": "read"})
            except GluonfaceError as error:
                text = str(error)
                tell(**{"as": "refused"})
                if len(text) > LONGEST:
                    tell(problem=f"an error of {len(text)} characters: {text[:200]}")
                elif str(place) not in text:
                    tell(problem=f"no file named: {text}")
            except BaseException:  # also SystemExit, RecursionError, MemoryError
                lines = traceback.format_exc(limit=-6).strip()
                tell(problem=lines[-1500:])


def main(mode, module, name, *words):
    """Run the child process, or write one mutation."""
    if mode == "read":
        _read(module, name, int(words[0]), int(words[1]), words[2], int(words[3]))
    else:
        kind, number, folder = words[0], int(words[1]), pathlib.Path(words[2])
        reader = importlib.import_module(module).READERS[name]
        folder.mkdir(parents=True, exist_ok=True)
        path = reader.make(folder)
        path.write_bytes(mutated(reader, name, kind, number, path.read_bytes()))
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
