"""Pages of the API: every public name of every package. A name without a docstring is an error."""

import importlib
import inspect
import io
import pkgutil
import tokenize

__all__ = ["pages"]

# Room -> title. What users call most comes first.
ROOMS = {
    "model_zoo": "Backbones",
    "loss": "Losses",
    "head": "The classifier",
    "parallel": "Several processes",
    "data": "Data",
    "training": "Training",
    "evaluation": "Evaluation",
    "weights": "Weights in and out",
    "recognition": "Recognition: one person or two",
    "deploy": "Embedding and export",
    "nn": "Network blocks",
    "native": "Operators of our own",
    "bench": "Benchmarks",
}
WITH_PAGES = {"auxiliary"}  # its losses are described on the page of losses
SINGLE_FILES = ("errors", "parameters", "registry", "files")


def pages():
    """Return {file name: reST} of the API pages."""
    return {
        **{f"api/{room}.rst": _room(f"gluonface.{room}", title) for room, title in ROOMS.items()},
        "api/single_files.rst": _single_files(),
    }


def _room(name, title):
    package = importlib.import_module(name)
    seen = set()
    sections = [_heading(f"{title}: {name}", "="), f".. automodule:: {name}\n   :no-members:\n"]
    sections.append(_names(package, getattr(package, "__all__", ()), seen))
    for module in _modules(package):
        names = [n for n in getattr(module, "__all__", ()) if _key(module, n) not in seen]
        if not names:
            continue
        sections += [
            _heading(module.__name__, "-"),
            f".. automodule:: {module.__name__}\n   :no-members:\n",
            _names(module, names, seen),
        ]
    return "\n".join(sections)


def _modules(package):
    """Yield the public modules of a package and of its subpackages, sorted by name."""
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        yield module
        if info.ispkg and info.name not in WITH_PAGES:
            yield from _modules(module)


def _single_files():
    sections = [_heading("Errors, parameters, registry, files", "=")]
    for stem in SINGLE_FILES:
        module = importlib.import_module(f"gluonface.{stem}")
        sections += [
            _heading(module.__name__, "-"),
            f".. automodule:: {module.__name__}\n   :no-members:\n",
            _names(module, module.__all__, set()),
        ]
    return "\n".join(sections)


def _heading(text, underline):
    return f"{text}\n{underline * len(text)}\n"


def _key(module, name):
    """Return a key that is equal for two public names of the same object."""
    value = getattr(module, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        return value.__module__, value.__qualname__
    return id(value), name


def _names(module, names, seen):
    """Return a summary table and the descriptions of `names`, in the order of ``__all__``."""
    described, table = [], []
    for name in names:
        key = _key(module, name)
        value = getattr(module, name)
        room = ".".join(module.__name__.split(".")[:2])
        if key in seen or not getattr(value, "__module__", room).startswith(room):
            continue  # described before, or defined in another room
        seen.add(key)
        full = f"{module.__name__}.{name}"
        if inspect.ismodule(value):
            continue
        if inspect.isclass(value) or inspect.isroutine(value):
            if not (value.__doc__ or "").strip():
                raise RuntimeError(f"{full} is public and has no docstring")
            table.append(name)
            described.append(_callable(full, value))
        else:
            described.append(_constant(module, name, value))
    summary = ""
    if len(table) > 1:
        lines = "\n".join(f"   {name}" for name in table)
        summary = f".. autosummary::\n   :nosignatures:\n\n{lines}\n"
    return "\n".join([summary, *described])


def _callable(full, value):
    if not inspect.isclass(value):
        return f".. autofunction:: {full}\n"
    if issubclass(value, BaseException):
        return f".. autoexception:: {full}\n   :show-inheritance:\n"
    bases = "" if value.__bases__ == (object,) else "   :show-inheritance:\n"
    return f".. autoclass:: {full}\n   :members:\n{bases}"


def _constant(module, name, value):
    text = repr(value)
    lines = [f".. py:data:: {module.__name__}.{name}"]
    if len(text) <= 70 and " at 0x" not in text:
        lines.append(f"   :value: {text}")
    comment = _comment(module, name)
    return "\n".join([*lines, "", f"   {comment}" if comment else "", ""])


def _comment(module, name):
    """Return the comment beside or above the assignment of a constant."""
    home = module
    for candidate in [module, *_siblings(module)]:
        if _assignment(candidate, name):
            home = candidate
            break
    line = _assignment(home, name)
    if not line:
        return ""
    comments = {
        token.start[0]: (token.start[1], token.string.lstrip("# "))
        for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(home)).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith("# noqa")
    }
    if line in comments:
        return comments[line][1]
    above, at = [], line - 1
    while at in comments and comments[at][0] == 0:
        above.insert(0, comments[at][1])
        at -= 1
    return " ".join(above)


def _siblings(module):
    if not hasattr(module, "__path__"):
        return []
    names = [f"{module.__name__}.{info.name}" for info in pkgutil.iter_modules(module.__path__)]
    return [importlib.import_module(name) for name in names]


def _assignment(module, name):
    for number, line in enumerate(inspect.getsource(module).splitlines(), 1):
        if line.startswith((f"{name} =", f"{name}:")):
            return number
    return None
