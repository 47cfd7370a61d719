"""The scan of gluonface/native/jpeg_scan.cc, slowly in Python."""

from __future__ import annotations

import functools

import numpy as np

__all__ = ["find_jpeg_damage"]

_BAD = "its compressed data are damaged"
_ENDS = "its compressed data end early"
_MORE = "it has more compressed data than its size needs: some are damaged"
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive; others are not checked


def ceil(a, b):
    return (a + b - 1) // b


class _Damage(Exception):
    """What is damaged."""


def find_jpeg_damage(data: bytes) -> str | None:
    """Return what is damaged in the compressed data of a JPEG; None when nothing is found.

    Parameters
    ----------
    data : bytes
        A JPEG. Where the markers themselves are damaged, decoders report an error; None then.

    Notes
    -----
    A byte that is changed into another valid code of the same length is not found.
    """
    try:
        _Scanner(data).run()
    except _Damage as damage:
        return str(damage)
    except (IndexError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return None  # the headers; the decoder tells
    return None


@functools.lru_cache(maxsize=32)  # most JPEGs have the tables of the standard's annex K
def _table(body):
    """Return for each 16 bits the symbol and how many bits its code has; 0 where there is none."""
    table, code, number = np.zeros(1 << 16, np.int64), 0, 16
    for length, count in enumerate(body[:16], start=1):
        for _ in range(count):
            start = code << (16 - length)
            if start + (1 << (16 - length)) > 1 << 16:
                raise ValueError("too many codes; a decoder refuses the table")
            table[start : start + (1 << (16 - length))] = body[number] << 5 | length
            code, number = code + 1, number + 1
        code <<= 1
    return table.tolist()


class _Scanner:
    """Walks through the segments of a JPEG."""

    def __init__(self, data):
        self.data = data
        self.tables: dict[int, list[int]] = {}
        self.most: dict[int, int] = {}
        self.restart = 0
        self.frame = None
        self.blocks: dict = {}

    def run(self):
        data, at = self.data, 2
        while True:
            while data[at] == 0xFF and data[at + 1] == 0xFF:
                at += 1
            if data[at] != 0xFF:
                return
            marker = data[at + 1]
            if marker == 0xD9:
                return
            if marker == 0x01 or 0xD0 <= marker <= 0xD7:
                at += 2
                continue
            length = data[at + 2] << 8 | data[at + 3]
            body = data[at + 4 : at + 2 + length]
            at += 2 + length
            if marker == 0xC4:
                self._huffman(body)
            elif marker == 0xDB:
                self._quantisation(body)
            elif marker == 0xDD:
                self.restart = body[0] << 8 | body[1]
            elif 0xC0 <= marker <= 0xCF and marker != 0xC8 and marker != 0xCC:
                if marker not in _FRAMES or body[0] != 8:
                    return
                self._start(body, marker == 0xC2)
            elif marker == 0xDA:
                end = self._scan_end(at)
                self._scan(body, data[at:end])
                at = end

    def _scan_end(self, at):
        """Return where the next marker stands that is no restart."""
        data = self.data
        while True:
            at = data.find(b"\xff", at)
            if at < 0 or at + 1 >= len(data):
                raise _Damage(_ENDS)
            if data[at + 1] == 0 or 0xD0 <= data[at + 1] <= 0xD7:
                at += 2
            elif data[at + 1] == 0xFF:
                at += 1
            else:
                return at

    def _huffman(self, body):
        """Read DHT: tables of codes."""
        at = 0
        while at < len(body):
            end = at + 17 + sum(body[at + 1 : at + 17])
            self.tables[body[at]] = _table(bytes(body[at + 1 : end]))
            at = end

    def _quantisation(self, body):
        """Read DQT: the first value of each table, which is that of DC coefficients."""
        at = 0
        while at < len(body):
            wide = body[at] >> 4
            value = body[at + 1] << 8 | body[at + 2] if wide else body[at + 1]
            # The samples are -128 to 127, and DC is 8 times their mean; rounded up.
            self.most[body[at] & 15] = 1024 // value + 1
            at += 129 if wide else 65

    def _start(self, body, progressive):
        height, width, count = body[1] << 8 | body[2], body[3] << 8 | body[4], body[5]
        parts = {}
        for number in range(count):
            name, sampling = body[6 + 3 * number : 8 + 3 * number]
            parts[name] = sampling >> 4, sampling & 15
        most = [max(part[axis] for part in parts.values()) for axis in (0, 1)]
        self.frame = {
            "most": {body[6 + 3 * n]: self.most[body[8 + 3 * n]] for n in range(count)},
            "progressive": progressive,
            "parts": parts,
            "mcus": (-(-width // (8 * most[0])), -(-height // (8 * most[1]))),
            # of a scan of one component alone: blocks that the picture needs
            "alone": {
                name: (ceil(ceil(width * h, most[0]), 8), ceil(ceil(height * v, most[1]), 8))
                for name, (h, v) in parts.items()
            },
        }
        if progressive:
            for name, (h, v) in parts.items():
                across, down = self.frame["mcus"][0] * h, self.frame["mcus"][1] * v
                self.blocks[name] = across, [0] * (across * down)

    def _scan(self, body, coded):
        frame = self.frame
        names = [(body[1 + 2 * n], body[2 + 2 * n]) for n in range(body[0])]
        first, last, steps = body[1 + 2 * body[0] :][:3]
        if not frame["progressive"]:
            first, last, steps = 0, 63, 0
        if last > 63 or first > last or (first and len(names) > 1):
            raise ValueError("a scan of no coefficients; a decoder refuses it")
        order = self._order(names)
        if frame["progressive"] and first:
            decode = _refine if steps >> 4 else _band
        elif frame["progressive"]:
            decode = _dc_bits if steps >> 4 else _dc
        else:
            decode = _sequential
        most = [(frame["most"][name] >> (steps & 15)) + 1 for name, _ in names]
        runs = _restart_runs(coded)
        per_run = self.restart or len(order)
        if len(runs) != -(-len(order) // per_run):
            raise _Damage(_BAD if self.restart else _MORE)
        tables = [(self.tables.get(t >> 4), self.tables.get(16 + (t & 15))) for _, t in names]
        for number, run in enumerate(runs):
            bits = _Bits(run)
            units = order[number * per_run : (number + 1) * per_run]
            decode(bits, units, tables, first, last, most, self.blocks, names)
            bits.require_end()

    def _order(self, names):
        """Return the units of a scan: for each the (component, block) pairs, in their order."""
        frame = self.frame
        if len(names) == 1:
            name = names[0][0]
            across, down = frame["alone"][name]
            wide = frame["mcus"][0] * frame["parts"][name][0]
            return [[(0, y * wide + x)] for y in range(down) for x in range(across)]
        wide, high = frame["mcus"]
        units = []
        for y in range(high):
            for x in range(wide):
                unit = []
                for place, (name, _) in enumerate(names):
                    h, v = frame["parts"][name]
                    unit += [
                        (place, (y * v + j) * wide * h + x * h + i)
                        for j in range(v)
                        for i in range(h)
                    ]
                units.append(unit)
        return units


def _restart_runs(coded):
    """Return the compressed data between restart markers, without stuffed bytes."""
    parts, number = [], 0
    start = at = 0
    while True:
        at = coded.find(b"\xff", at)
        if at < 0 or at + 1 >= len(coded):
            break
        if coded[at + 1]:
            if 0xD0 <= coded[at + 1] <= 0xD7:
                if coded[at + 1] != 0xD0 + number % 8:
                    raise _Damage(_BAD)
                number += 1
                parts.append(coded[start:at])
                start = at + 2
            at += 1
        at += 1
    parts.append(coded[start:])
    return [part.rstrip(b"\xff").replace(b"\xff\0", b"\xff") if part.endswith(b"\xff") else
            part.replace(b"\xff\0", b"\xff") for part in parts]  # fmt: skip


class _Bits:
    """The bits of compressed data: `windows[p]` are the 16 bits from place p on."""

    def __init__(self, run):
        padded = np.frombuffer(run + b"\xff" * 256, np.uint8).astype(np.uint32)
        words = padded[:-2] << 16 | padded[1:-1] << 8 | padded[2:]
        shifts = np.arange(8, 0, -1, dtype=np.uint32)
        self.windows = (words[:, None] >> shifts & 0xFFFF).ravel().tolist()
        self.at, self.end = 0, 8 * len(run)

    def take(self, count):
        """Return the next bits as a number."""
        value = self.windows[self.at] >> (16 - count)
        self.at += count
        return value

    def require_end(self):
        """Raise unless the rest is less than a byte."""
        if self.at > self.end:
            raise _Damage(_ENDS)
        rest = self.end - self.at
        if rest >= 8:
            raise _Damage(_MORE)
        if rest and self.take(rest) not in (0, (1 << rest) - 1):  # ones, by the standard
            raise _Damage(_BAD)


def _difference(bits, size):
    """Return a DC difference of `size` bits."""
    if size > 11:
        raise _Damage(_BAD)
    value = bits.take(size) if size else 0
    return value if not size or value >> (size - 1) else value - (1 << size) + 1


def _symbol(bits, table):
    entry = table[bits.windows[bits.at]]
    if not entry:
        raise _Damage(_BAD)
    bits.at += entry & 31
    return entry >> 5


def _sequential(bits, units, tables, first, last, most, blocks, names):
    windows, end = bits.windows, bits.end
    before = [0] * len(tables)
    at = 0
    for unit in units:
        for place, _ in unit:
            dc, ac = tables[place]
            entry = dc[windows[at]]
            if not entry:
                raise _Damage(_BAD)
            bits.at = at + (entry & 31)
            before[place] += _difference(bits, entry >> 5)
            if not -most[place] <= before[place] <= most[place]:
                raise _Damage(_BAD)
            at, k = bits.at, 1
            while k < 64:
                entry = ac[windows[at]]
                size = entry >> 5 & 15
                at += (entry & 31) + size
                if size:
                    k += (entry >> 9) + 1
                elif entry >> 5 == 0xF0:
                    k += 16
                elif entry and entry >> 5 == 0:
                    break
                else:
                    raise _Damage(_BAD)
            if k > 64:
                raise _Damage(_BAD)
            if at > end:
                raise _Damage(_ENDS)
    bits.at = at


def _dc(bits, units, tables, first, last, most, blocks, names):
    before = [0] * len(tables)
    for unit in units:
        for place, _ in unit:
            before[place] += _difference(bits, _symbol(bits, tables[place][0]))
            if not -most[place] <= before[place] <= most[place]:
                raise _Damage(_BAD)
            if bits.at > bits.end:
                raise _Damage(_ENDS)


def _dc_bits(bits, units, tables, first, last, most, blocks, names):
    bits.at += sum(map(len, units))


def _band(bits, units, tables, first, last, most, blocks, names):
    table, known = tables[0][1], blocks[names[0][0]][1]
    skip = 0
    for ((_, block),) in units:
        if skip:
            skip -= 1
            continue
        k = first
        while k <= last:
            symbol = _symbol(bits, table)
            run, size = symbol >> 4, symbol & 15
            if size:
                k += run
                if k > last:
                    raise _Damage(_BAD)
                bits.at += size
                known[block] |= 1 << k
                k += 1
            elif run == 15:
                k += 16
            else:
                skip = (1 << run) - 1 + (bits.take(run) if run else 0)
                break
        if k > last + 1:
            raise _Damage(_BAD)
        if bits.at > bits.end:
            raise _Damage(_ENDS)
    if skip:
        raise _Damage(_BAD)


def _refine(bits, units, tables, first, last, most, blocks, names):
    table, known = tables[0][1], blocks[names[0][0]][1]
    band = (1 << (last + 1)) - (1 << first)
    skip = 0
    for ((_, block),) in units:
        held, k = known[block], first
        if not skip:
            while k <= last:
                symbol = _symbol(bits, table)
                run, size = symbol >> 4, symbol & 15
                if size > 1:
                    raise _Damage(_BAD)
                if size:
                    bits.at += 1
                elif run < 15:
                    skip = (1 << run) + (bits.take(run) if run else 0)
                    break
                while k <= last:  # pass over `run` coefficients that are zero so far
                    if held >> k & 1:
                        bits.at += 1
                    elif run:
                        run -= 1
                    else:
                        break
                    k += 1
                if size:
                    if k > last:
                        raise _Damage(_BAD)
                    known[block] |= 1 << k
                k += 1
        if skip:
            bits.at += (held & band & -(1 << k)).bit_count() if k <= last else 0
            skip -= 1
        if bits.at > bits.end:
            raise _Damage(_ENDS)
    if skip:
        raise _Damage(_BAD)
