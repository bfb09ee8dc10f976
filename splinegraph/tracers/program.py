"""Questions about the nodes of an exported program."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from splinegraph.tracers.exporting import functional_name, target_name

__all__ = ["attribute", "holes", "in_place", "module_path", "needed"]

_RECURRENT_MODULES = ("LSTM", "GRU", "RNN")


def needed(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that the output reads: assertions, and what only they read, are left out."""
    todo = [n for n in graph.nodes if n.op == "output" or (n.op == "call_function" and in_place(n.target))]
    found = set(todo)
    while todo:
        fresh = [n for n in todo.pop().all_input_nodes if n not in found]
        found.update(fresh)
        todo.extend(fresh)
    return found


def holes(module: fx.GraphModule) -> list[fx.Node]:
    """Return the placeholders of a module, in order."""
    return [n for n in module.graph.nodes if n.op == "placeholder"]


def in_place(target: Any) -> bool:
    """Return whether a call changes its first argument."""
    return isinstance(target, torch._ops.OpOverload) and functional_name(target_name(target)) != target_name(target)


def attribute(module: fx.GraphModule, path: Any) -> Any:
    """Return what a dotted path names."""
    found: Any = module
    for part in str(path).split("."):
        found = getattr(found, part)
    return found


def module_path(node: fx.Node) -> tuple[str, bool]:
    """Return the module path of a call, and whether that module is a recurrent one."""
    stack = [entry for entry in (node.meta.get("nn_module_stack") or {}).values() if isinstance(entry, tuple)]
    stack = [(path, kind) for path, kind in stack if not str(path).startswith("_empty_nn_module")]
    if not stack:
        return "", False
    path, kind = stack[-1]
    name = kind if isinstance(kind, str) else getattr(kind, "__qualname__", "")
    return str(path).removeprefix("L['self']").lstrip("."), name.rsplit(".", 1)[-1] in _RECURRENT_MODULES
