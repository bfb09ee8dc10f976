"""torch.export with a symbolic batch size, and only the decompositions that are needed."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import Dim, ExportedProgram
from torch.utils import _pytree as pytree

from splinegraph.errors import TraceError
from splinegraph.operators.registry import LOWERINGS

__all__ = [
    "decompose",
    "decompositions",
    "explain",
    "export",
    "functional_name",
    "node_line",
    "quiet",
    "target_name",
    "user_line",
    "writes_into_view",
]

# code that is not the user's: torch, the standard library, this package, frames without a file
_FOREIGN = (
    str(Path(torch.__file__).parent),
    str(Path(contextlib.__file__).parent),
    str(Path(__file__).parents[1]),
    "<",
)
_RECURRENT = ("aten.lstm.", "aten.gru.", "aten.rnn_tanh.", "aten.rnn_relu.", "aten.lstm_cell.", "aten.gru_cell.",
              "aten.rnn_tanh_cell.", "aten.rnn_relu_cell.")  # fmt: skip
# in-place calls whose functional form has another overload name
_RENAMED = {
    "aten.pow.Scalar": "aten.pow.Tensor_Scalar",
    "aten.pow.Tensor": "aten.pow.Tensor_Tensor",
    "aten.float_power.Scalar": "aten.float_power.Tensor_Scalar",
    "aten.float_power.Tensor": "aten.float_power.Tensor_Tensor",
    "aten.floor_divide.Tensor": "aten.floor_divide.default",
    "aten.transpose.default": "aten.transpose.int",
}
# composite calls that return their argument itself where they can, though their schema does not say so
_MAY_ALIAS = {
    "dropout",
    "contiguous",
    "to",
    "reshape",
    "flatten",
    "type_as",
    "feature_dropout",
    "expand_as",
    "view_as",
}


def user_line(frames: list[tuple[str, int]]) -> str:
    """Return 'file.py:line' of the innermost frame in the user's own code, '' if there is none."""
    for name, line in reversed(frames):
        if not name.startswith(_FOREIGN) and "site-packages" not in name:
            return f"{Path(name).name}:{line}"
    return ""


def target_name(target: Any) -> str:
    """Return a call's name as the lowering table spells it, such as 'aten.relu.default'."""
    if inspect.isfunction(target):
        return f"{target.__module__}.{target.__qualname__}"
    return str(target)


def functional_name(name: str) -> str:
    """Return the name of the call without side effects: 'aten.relu.default' for 'aten.relu_.default'."""
    space, _, rest = name.partition(".")
    packet, _, overload = rest.partition(".")
    in_place = bool(overload) and packet.endswith("_") and not packet.endswith("__")
    found = f"{space}.{packet[:-1]}.{overload}" if in_place else name
    return _RENAMED.get(found, found) if in_place else name


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what export says of its own workings: warnings, and the graph it prints when it fails."""
    logger = logging.getLogger("torch.fx.experimental.symbolic_shapes")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def export(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], batched: Any) -> ExportedProgram:
    """Export `model` and bring it to calls that the lowering table knows.

    Parameters
    ----------
    batched : pytree like (args, kwargs)
        For every tensor the axis whose size is symbolic, or None.

    Raises
    ------
    TraceError
        With the user's line, the cause and the remedy.
    """
    positional, named = (_dynamic(part) for part in batched)
    # keyed by the parameters of `forward`, *args and **kwargs as one each, which is how export sees them
    dynamic = dict(inspect.signature(model.forward).bind(*positional, **named).arguments)
    try:
        with quiet():
            program = torch.export.export(model, args, kwargs or None, dynamic_shapes=dynamic, strict=False)
            return decompose(program)
    except Exception as error:
        raise explain(error) from error


def _dynamic(axes: Any) -> Any:
    """Return what export takes as dynamic shapes: containers of the user's own types as lists."""
    if axes is None or isinstance(axes, int):
        return None if axes is None or axes < 0 else {axes: Dim.AUTO}
    children, spec = pytree.tree_flatten(axes, is_leaf=lambda part: part is not axes)
    shapes = [_dynamic(child) for child in children]
    return pytree.tree_unflatten(shapes, spec) if isinstance(axes, tuple | list | dict) else shapes


def decompose(program: ExportedProgram) -> ExportedProgram:
    """Make the program functional where that takes more than renaming.

    Running decompositions costs several times the export itself, so it is done only if something asks
    for it: torch.vmap, or an in-place write into a view. Recurrent and composite calls without a lowering are
    taken apart one by one, when they are met.
    """
    transforms = any(_is_transform(n.target) for n in program.graph.nodes)
    if not (transforms or any(writes_into_view(n) for n in program.graph.nodes)):
        return program
    program = program.run_decompositions({})
    if any(_is_transform(n.target) for n in program.graph.nodes):
        raise TraceError("torch.export cannot trace the model", why="it does not resolve a torch.func transform")
    return program


def decompositions(graph: fx.Graph) -> dict[Any, Any]:
    """Return what unrolls the recurrent calls of a graph, and the composite ones without a lowering."""
    live = _live(graph)  # constants run as they are
    wanted = {n.target for n in graph.nodes if n.op == "call_function" and n in live and _unknown(n)}
    recurrent = any(target_name(t).startswith(_RECURRENT) for t in wanted)
    if not wanted:
        return {}
    known = torch.export.default_decompositions()
    table = {t: known[t] for t in known if recurrent and target_name(t).startswith(_RECURRENT)}
    table.update({t: known[t] for t in wanted if t in known})
    return table


def _live(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes that may depend on a differentiated input: a floating point one, or embedded token ids."""
    found = set[fx.Node]()
    for node in graph.nodes:
        value = node.meta.get("val")
        given = node.op == "placeholder" and not str(node.target).startswith(("p_", "b_", "c_"))
        floats = value is None or (isinstance(value, Tensor) and value.is_floating_point())
        embeds = target_name(node.target) == "aten.embedding.default"
        if (given and floats) or embeds or any(n in found for n in node.all_input_nodes):
            found.add(node)
    return found


def _unknown(node: fx.Node) -> bool:
    """Return whether a call that makes tensors (no size, no assertion) has no lowering."""
    makes = isinstance(node.meta.get("val"), Tensor | tuple | list)
    known = functional_name(target_name(node.target)) in LOWERINGS
    return isinstance(node.target, torch._ops.OpOverload) and makes and not known


def _is_transform(target: Any) -> bool:
    """Return whether a call opens or closes torch.vmap, which export leaves standing around its body."""
    return str(getattr(target, "__module__", "")).startswith("torch._functorch")


def writes_into_view(node: fx.Node) -> bool:
    """Return whether an in-place call changes a tensor that is read under another name afterwards."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or not target._schema.is_mutable:
        return False
    if functional_name(target_name(target)) == target_name(target):
        return True  # writes into an `out=` argument or the like
    changed = root = node.args[0]
    while isinstance(root, fx.Node) and root.op == "call_function" and _is_view(root.target) and root.args:
        root = root.args[0]
    if not isinstance(changed, fx.Node) or not isinstance(root, fx.Node) or root.op != "call_function":
        return True
    others = {alias for alias in _aliases(root) if alias < node and alias is not changed}
    return any(later > node for alias in others for later in alias.users)


def _aliases(root: fx.Node) -> set[fx.Node]:
    """Return a node and all that may share its memory: views of it, and results of in-place calls."""
    found, todo = {root}, [root]
    while todo:
        node = todo.pop()
        for user in node.users:
            schema = user.target._schema if isinstance(user.target, torch._ops.OpOverload) else None
            shares = _is_view(user.target) or (schema is not None and schema.is_mutable)
            if user.op == "call_function" and shares and user.args and user.args[0] is node and user not in found:
                found.add(user)
                todo.append(user)
    return found


def _is_view(target: Any) -> bool:
    if not isinstance(target, torch._ops.OpOverload):
        return True
    name = target._schema.name.split("::")[-1]
    if target._schema.is_mutable:  # returns its first argument, which is renamed along with it
        return False
    return name in _MAY_ALIAS or any(r.alias_info is not None for r in target._schema.returns)


_CAUSES = (
    ("get value out of a tracing tensor", "a Python value is read out of a tensor (.item(), bool(), int())",
     "compute with the tensor itself, or with torch.where"),
    ("symbolically traced variables cannot be used as inputs to control flow",
     "the control flow depends on the data or on a size", "replace the Python branch by torch.where"),
    ("Could not extract specialized", "a Python value is read out of a tensor (.item(), int(), range())",
     "compute with the tensor itself, or with torch.where"),
    ("Could not guard on data-dependent", "the control flow depends on the data",
     "replace the Python branch by torch.where, or trace the part before it"),
    ("data-dependent", "the control flow depends on the data",
     "replace the Python branch by torch.where, or trace the part before it"),
    ("numpy()", "tensors are turned into numpy arrays", "stay in torch inside forward"),
    ("ndarray", "tensors are turned into numpy arrays", "stay in torch inside forward"),
    ("GuardOnDataDependentSymNode", "a Python value is read out of a tensor (.item(), int(), bool())",
     "compute with the tensor itself, or with torch.where"),
    (".item()", "a Python value is read out of a tensor", "compute with the tensor itself"),
    ("dynamic control flow", "the control flow depends on the data", "replace the Python branch by torch.where"),
)  # fmt: skip


def explain(error: Exception, what: str = "torch.export cannot trace the model") -> TraceError:
    """Turn an exception of a trace into one line with the user's place, the cause and the remedy."""
    frames = [(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)]
    text = str(error)
    where = user_line(frames) or user_line(_frames_in(text))
    if isinstance(error, TraceError):
        known = TraceError(error.what, where=where, why=error.why, remedy=error.remedy)
        return error if error.where or not where else known
    for sign, why, remedy in _CAUSES:
        if sign in text or sign in type(error).__name__:
            return TraceError(what, where=where, why=why, remedy=remedy)
    line = next((s for s in text.splitlines() if s.strip()), type(error).__name__)
    return TraceError(
        what, where=where, why=f"{type(error).__name__}: {line[:300]}",
        remedy="see the exception above for the whole story",
    )  # fmt: skip


def _frames_in(text: str) -> list[tuple[str, int]]:
    """Return the frames that a message quotes as 'File "...", line N'."""
    import re

    return [(name, int(line)) for name, line in re.findall(r'File "([^"]+)", line (\d+)', text)]


def node_line(node: fx.Node) -> str:
    """Return 'file.py:line' of the user's call that made a node."""
    return user_line(_frames_in(node.meta.get("stack_trace") or ""))


def tensor_leaves(tree: Any) -> list[Tensor]:
    """Return the tensors of a nested structure, in order."""
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]
