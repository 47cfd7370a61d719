"""A symbol as Python nodes, so that it can be renamed, rewritten and converted."""

from __future__ import annotations

import json

from .._compat import mx

__all__ = ["Graph", "Node", "pixel_constants"]

SCALAR_OPS = {"_minus_scalar", "_plus_scalar", "_mul_scalar", "_div_scalar"}
PASS_OPS = {"_copy", "identity", "BlockGrad", "Cast", "cast"}


class Node:
    """One operator, or a variable (`op` is ``"null"``).

    Attributes
    ----------
    op, name : str
    attrs : dict of str
        As MXNet writes them: every value is text.
    inputs : list of (Node, int)
        The node and which of its outputs.
    subgraphs : list of dict
        What an operator is fused of, as MXNet writes it; usually empty.
    """

    __slots__ = ("attrs", "inputs", "name", "op", "subgraphs")

    def __init__(self, op, name, attrs=None, inputs=(), subgraphs=()):
        self.op, self.name = op, name
        self.attrs, self.inputs = dict(attrs or {}), list(inputs)
        self.subgraphs = list(subgraphs)

    @property
    def is_variable(self):
        """Whether this is an input or a parameter."""
        return self.op == "null"

    def __repr__(self):
        return f"Node({self.op} {self.name})"


class Graph:
    """The nodes of a symbol with one output.

    Parameters
    ----------
    symbol : mx.sym.Symbol

    Attributes
    ----------
    head : (Node, int)
        What the symbol returns.
    """

    def __init__(self, symbol):
        raw = json.loads(symbol.tojson())
        nodes = []
        for item in raw["nodes"]:
            inputs = [(nodes[i[0]], i[1]) for i in item["inputs"]]
            parts = item.get("subgraphs", ())
            nodes.append(Node(item["op"], item["name"], item.get("attrs"), inputs, parts))
        index, output = raw["heads"][0][:2]
        self.head = (nodes[index], output)

    def nodes(self):
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

    def users(self):
        """Return ``{id(node): [nodes that take its output]}``."""
        users = {}
        for node in self.nodes():
            for source, _ in node.inputs:
                users.setdefault(id(source), []).append(node)
        return users

    def replace(self, old, new):
        """Let all users of a node take the first output of `new` instead."""
        for user in self.users().get(id(old), []):
            user.inputs = [(new, 0) if s is old and i == 0 else (s, i) for s, i in user.inputs]
        if self.head[0] is old:
            self.head = (new, 0)

    def to_symbol(self):
        """Return the graph as an `mx.sym.Symbol`."""
        nodes = self.nodes()
        index = {id(node): i for i, node in enumerate(nodes)}
        items = []
        for node in nodes:
            item = {
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


def pixel_constants(graph, data="data"):
    """Return the ``(op, scalar)`` steps that a network applies to its pixels first.

    Empty when the pixels go straight into a layer.
    """
    steps, users = [], graph.users()
    node = next((n for n in graph.nodes() if n.is_variable and n.name == data), None)
    while node is not None:
        following = users.get(id(node), [])
        if len(following) != 1:
            break
        node = following[0]
        if node.op in SCALAR_OPS:
            steps.append((node.op, float(node.attrs["scalar"])))
        elif node.op not in PASS_OPS:
            break
    return steps
