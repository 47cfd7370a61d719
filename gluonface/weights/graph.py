"""The graph of a network as Python nodes, so that it can be compared, rewritten and converted."""

from __future__ import annotations

import ast
import itertools
import json
import typing

from .._compat import mx

__all__ = ["Graph", "Node", "unused_name"]

# What MXNet before 1.0 called them.
LEGACY = {f"_{n}Scalar": f"_{n.lower()}_scalar" for n in ("Minus", "Plus", "Mul", "Div")}


class Node:
    """One operator, or a variable (`op` is ``"null"``).

    Attributes
    ----------
    op, name : str
        As MXNet calls operators; one that only ONNX has keeps its name there.
    attrs : dict of str
        As MXNet writes them: every value is text.
    inputs : list of (Node, int)
        The node and which of its outputs.
    subgraphs : list of dict
        What an operator is fused of, as MXNet writes it; usually empty.
    """

    __slots__ = ("attrs", "inputs", "name", "op", "subgraphs")

    def __init__(
        self,
        op: str,
        name: str,
        attrs: dict[str, str] | None = None,
        inputs: typing.Iterable[tuple[Node, int]] = (),
        subgraphs: typing.Iterable[dict] = (),
    ):
        self.op, self.name = op, name
        self.attrs, self.inputs = dict(attrs or {}), list(inputs)
        self.subgraphs = list(subgraphs)

    @property
    def is_variable(self) -> bool:
        """Whether this is an input or a parameter."""
        return self.op == "null"

    def value(self, name: str, default: typing.Any = None) -> typing.Any:
        """Return an attribute as a Python value, `default` if it is absent or None."""
        text = self.attrs.get(name)
        if text is None or text == "None":
            return default
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text

    def flag(self, name: str, default: bool = False) -> bool:
        """Return an attribute as a truth value; MXNet writes True, true and 1."""
        return str(self.attrs.get(name, default)).lower() in ("true", "1")

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return an attribute as a tuple of integers."""
        value = self.value(name, default)
        return (int(value),) if isinstance(value, (int, float)) else tuple(value)

    def array(self, index: int, values: dict[str, typing.Any]) -> typing.Any:
        """Return the array of `values` that an input is; None if it is computed or not there."""
        if index >= len(self.inputs):
            return None
        source = self.inputs[index][0]
        return values.get(source.name) if source.is_variable else None

    def __repr__(self) -> str:
        return f"Node({self.op} {self.name})"


class Graph:
    """The nodes that compute one output.

    Parameters
    ----------
    node : Node
    output : int, default 0
        Which output of that node is the graph's.

    Attributes
    ----------
    head : (Node, int)
        The graph's output.
    """

    def __init__(self, node: Node, output: int = 0):
        self.head = (node, output)

    @classmethod
    def from_symbol(cls, symbol: typing.Any) -> Graph:
        """Return the graph of an `mx.sym.Symbol` with one output."""
        return cls.from_json(json.loads(symbol.tojson()))

    @classmethod
    def from_json(cls, raw: dict[str, typing.Any]) -> Graph:
        """Return the graph of a symbol's JSON: MXNet's own, or what `read_symbol_json` gives."""
        nodes: list[Node] = []
        for item in raw["nodes"]:
            inputs = [(nodes[entry[0]], entry[1]) for entry in item["inputs"]]
            op = LEGACY.get(item["op"], item["op"])
            nodes.append(
                Node(op, item["name"], item.get("attrs"), inputs, item.get("subgraphs", ()))
            )
        index, output = raw["heads"][0][:2]
        return cls(nodes[index], output)

    def nodes(self) -> list[Node]:
        """Return the nodes that the head needs, inputs before their users."""
        order, done = [], set()
        stack = [(self.head[0], False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif id(node) not in done:
                done.add(id(node))
                stack.append((node, True))
                stack.extend((source, False) for source, _ in reversed(node.inputs))
        return order

    def users(self) -> dict[int, list[Node]]:
        """Return ``{id(node): [nodes that take its output]}``."""
        users: dict[int, list[Node]] = {}
        for node in self.nodes():
            for source, _ in node.inputs:
                users.setdefault(id(source), []).append(node)
        return users

    def replace(self, old: Node, new: Node, users: dict[int, list[Node]] | None = None) -> None:
        """Let all users of a node take the first output of `new` instead.

        Parameters
        ----------
        old, new : Node
        users : dict, optional
            What `users` gave; it is kept up to date. To find them again for each of thousands of
            nodes takes minutes.
        """
        known = self.users() if users is None else users
        found = known.pop(id(old), [])
        known.setdefault(id(new), [])[:] = [n for n in known.get(id(new), []) if n is not old]
        known[id(new)] += found
        for user in found:
            user.inputs = [(new, 0) if s is old and i == 0 else (s, i) for s, i in user.inputs]
        if self.head[0] is old:
            self.head = (new, 0)

    def to_symbol(self) -> typing.Any:
        """Return the graph as an `mx.sym.Symbol`."""
        nodes = self.nodes()
        index = {id(node): i for i, node in enumerate(nodes)}
        items = []
        for node in nodes:
            item: dict[str, typing.Any] = {
                "op": node.op,
                "name": node.name,
                "inputs": [[index[id(source)], output, 0] for source, output in node.inputs],
            }
            if node.attrs:
                item["attrs"] = node.attrs
            if node.subgraphs:
                item["subgraphs"] = node.subgraphs
            items.append(item)
        raw = {
            "nodes": items,
            "arg_nodes": [i for i, node in enumerate(nodes) if node.is_variable],
            "node_row_ptr": list(range(len(nodes) + 1)),
            "heads": [[index[id(self.head[0])], self.head[1], 0]],
            "attrs": {"mxnet_version": ["int", 10901]},
        }
        return mx.sym.load_json(json.dumps(raw))


def unused_name(name: str, used: typing.Container[str], join: str = "_") -> str:
    """Return a name that is not in `used`: `name`, or with a number after it."""
    numbered = (f"{name}{join}{number}" for number in itertools.count(1))
    return next(n for n in itertools.chain([name], numbered) if n not in used)
