"""Which columns of a table are image, identity and group, and the identities of its rows."""

from __future__ import annotations

import dataclasses
import json
import logging
import typing

import numpy as np

from ....errors import DataError, InputError, MissingExtraError
from ..list_columns import GROUP_COLUMNS, IDENTITY_COLUMNS, choose_column, shorten
from ..source import number_keys

__all__ = ["RowIdentities", "TableColumns", "choose_columns", "import_arrow", "read_names"]

logger = logging.getLogger(__name__)


def import_arrow() -> typing.Any:
    """Return the module pyarrow.

    Raises
    ------
    MissingExtraError
        When it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "formats", "to read Parquet and Arrow files") from error
    return pyarrow


def read_names(schema) -> list[str]:
    """Return the names of a schema's columns.

    Raises
    ------
    UnicodeDecodeError
        When a name, also of a field in a struct, is no text.
    """
    is_struct = import_arrow().types.is_struct
    for field in schema:
        for inner in field.type if is_struct(field.type) else ():
            str(inner.name)
        str(field.type)
    return list(schema.names)


@dataclasses.dataclass(frozen=True)
class TableColumns:
    """The columns of a table of faces.

    Attributes
    ----------
    image : str
    struct : bool
        Whether the image is a struct of ``bytes`` and ``path``.
    identity : str
    classes : list of str or None
        Names of the whole numbers in `identity`.
    groups : list of str
        Columns of the group.
    """

    image: str
    struct: bool
    identity: str
    classes: list[str] | None
    groups: list[str]


def choose_columns(
    schema,
    where: str,
    columns: typing.Mapping[str, str],
    group: typing.Sequence[str] | None,
    features: typing.Mapping | None = None,
) -> TableColumns:
    """Choose the columns of a table.

    Parameters
    ----------
    schema : pyarrow.Schema
    where : str
        For messages.
    columns, group
        What the user says, as for `open_source`.
    features : dict, optional
        Hugging Face's description of the columns; by default that of the schema's metadata.

    Raises
    ------
    InputError
        When they have to be named; all columns are listed.
    """
    arrow = import_arrow()
    names = list(schema.names)
    there = f"{where} has the columns {shorten([f'{f.name} ({f.type})' for f in schema])}"
    for name in [*columns.values(), *(group or ())]:
        if name not in names:
            raise InputError(f"{there}; there is no {name}")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{there}; {name} is there twice")
    if features is None:
        features = _features(schema.metadata)
    image = columns.get("image") or columns.get("path") or _image(arrow, schema, features, there)
    kind = schema.field(image).type
    if not (_is_image_struct(arrow, kind) or _is_binary(arrow, kind)):
        raise InputError(f"{there}; {image} holds no bytes of images")
    identity = columns.get("identity") or _identity(names, image, features, there)
    type_ = schema.field(identity).type
    value = type_.value_type if arrow.types.is_dictionary(type_) else type_
    types = arrow.types
    if not (types.is_integer(value) or types.is_string(value) or types.is_large_string(value)):
        raise InputError(f"{there}; {identity} is neither text nor whole numbers: no identities")
    feature = features.get(identity)
    classes = feature.get("names") if isinstance(feature, dict) else None
    if classes is not None and not (
        isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    ):
        raise DataError(f"{where}: the names of the classes of {identity} are no list of text")
    if classes is not None and not types.is_integer(value):
        classes = None
    if group is None:
        group = [columns["group"]] if columns.get("group") else []
        if not group:
            found = [n for n in choose_column(names, GROUP_COLUMNS) if n not in (image, identity)]
            group = found if len(found) == 1 and _is_label(arrow, schema.field(found[0])) else []
    for name in group:
        if not _is_label(arrow, schema.field(name)):
            raise InputError(f"{there}; {name} is neither text nor whole numbers: no group")
    return TableColumns(image, _is_image_struct(arrow, kind), identity, classes, list(group))


def _is_label(arrow, field):
    kind = field.type.value_type if arrow.types.is_dictionary(field.type) else field.type
    types = arrow.types
    return types.is_integer(kind) or types.is_string(kind) or types.is_large_string(kind)


def _features(metadata):
    """Return Hugging Face's description of the columns in a schema's metadata, {} without."""
    text = (metadata or {}).get(b"huggingface")
    try:
        tree = json.loads(text) if text else {}
        features = tree.get("info", {}).get("features", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def _of_type(features, kind, names):
    return [
        name
        for name, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == kind and name in names
    ]


def _is_image_struct(arrow, kind):
    if not arrow.types.is_struct(kind):
        return False
    return any(
        kind.field(i).name == "bytes" and _is_binary(arrow, kind.field(i).type)
        for i in range(kind.num_fields)
    )


def _is_binary(arrow, kind):
    return arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind)


def _image(arrow, schema, features, there):
    ask = "say --columns image=NAME,identity=NAME (columns=)"
    for found in (
        _of_type(features, "Image", schema.names),
        [f.name for f in schema if _is_image_struct(arrow, f.type)],
        [f.name for f in schema if _is_binary(arrow, f.type)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(f"{there}; {' and '.join(found)} may be the image: {ask}")
    raise InputError(f"{there}; none holds the bytes of images: {ask}")


def _identity(names, image, features, there):
    found = [name for name in _of_type(features, "ClassLabel", names) if name != image]
    if len(found) != 1:
        known = choose_column(found or names, IDENTITY_COLUMNS)
        found = [name for name in known if name != image] or found
    if len(found) == 1:
        return found[0]
    pairs = "; it looks like a list of pairs" if {"is_same", "issame"} & set(names) else ""
    raise InputError(
        f"{there}; {' and '.join(found) or 'none'} may be the identity{pairs}: say "
        "--columns identity=NAME (columns=)"
    )


class RowIdentities:
    """Collects the identities and groups of the rows of a table, part by part.

    Parameters
    ----------
    columns : TableColumns
    where : str
        For messages.
    """

    def __init__(self, columns: TableColumns, where: str):
        self.columns, self.where = columns, where
        self._keys: list[np.ndarray] = []
        self._codes: dict[str, int] = {}  # of text
        self._groups: list[np.ndarray] = []
        self._group_codes: dict[str, int] = {}

    def add(self, table) -> None:
        """Add rows: a pyarrow.Table, or RecordBatch, with the columns of identity and group."""
        self._keys.append(self._of(table, self.columns.identity, self._codes))
        if self.columns.groups:
            values = [self._texts(table, name) for name in self.columns.groups]
            texts = [" | ".join(row) for row in zip(*values)]
            codes = self._group_codes
            self._groups.append(
                np.array([codes.setdefault(text, len(codes)) for text in texts], np.int32)
            )

    def _texts(self, table, name):
        return ["" if value is None else str(value) for value in table.column(name).to_pylist()]

    def _of(self, table, name, codes):
        """Return whole numbers as they are; codes of text. -1 is nobody, -2 null."""
        arrow = import_arrow()
        column = table.column(name)
        parts = column.chunks if hasattr(column, "chunks") else [column]
        found = [np.empty(0, np.int64)]
        for part in parts:
            if arrow.types.is_integer(part.type):
                if arrow.types.is_uint64(part.type):
                    part = part.cast(arrow.int64())
                values = part.fill_null(-1).to_numpy(zero_copy_only=False)
            else:
                if not arrow.types.is_dictionary(part.type):
                    part = part.dictionary_encode()
                texts = [None if v is None else str(v) for v in part.dictionary.to_pylist()]
                numbers = np.array(
                    [-1 if t is None else codes.setdefault(t, len(codes)) for t in texts] + [-1],
                    np.int64,
                )
                indices = part.indices.fill_null(-1).to_numpy(zero_copy_only=False)
                values = numbers[indices.astype(np.int64)]
            found.append(np.asarray(values, np.int64))
        return np.concatenate(found)

    def finish(self):
        """Return labels, keys, groups of the rows (None without), and what to tell the user."""
        values = np.concatenate(self._keys or [np.empty(0, np.int64)])
        self._keys = []
        classes = self.columns.classes
        if self._codes:
            texts = list(self._codes)
            numbers, keys = number_keys(texts)
            table = np.append(numbers, -1)
            labels = table[values]
        elif classes is not None:
            high = int(values.max(initial=-1))
            if high >= len(classes) or int(values.min(initial=0)) < -1:
                raise DataError(
                    f"{self.where}: {self.columns.identity} has the label {high}; 0 to "
                    f"{len(classes) - 1} were expected, for {len(classes)} classes have names"
                )
            used = np.unique(values[values >= 0])
            numbers, keys = number_keys([classes[i] for i in used.tolist()])
            table = np.full(len(classes) + 1, -1, np.int32)
            table[used] = numbers
            labels = table[values]
            unused = len(classes) - len(used)
            if unused:
                some = sorted(set(range(len(classes))) - set(used.tolist()))[:5]
                logger.warning(
                    "%s: %d of %d named classes have no image, such as %s; they are not counted",
                    self.where, unused, len(classes), shorten([classes[i] for i in some]),
                )  # fmt: skip
        else:
            labels, keys = number_keys(values)
            nobody = keys.index("-1") if "-1" in keys else None
            if nobody is not None:
                keys = keys[:nobody] + keys[nobody + 1 :]
                labels = np.where(labels == nobody, -1, labels - (labels > nobody)).astype(np.int32)
        groups = None
        if self.columns.groups:
            groups = _Texts(list(self._group_codes), np.concatenate(self._groups))
        return labels.astype(np.int32), keys, groups


class _Texts:
    """A sequence of few different texts."""

    def __init__(self, texts, codes):
        self.texts, self.codes = texts, codes

    def __len__(self):
        return len(self.codes)

    def __getitem__(self, index):
        if isinstance(index, np.ndarray):
            return _Texts(self.texts, self.codes[index])
        return self.texts[int(self.codes[index])]
