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

__all__ = ["export", "functional_name", "quiet", "target_name", "user_line"]

# code that is not the user's: torch, the standard library, this package, frames without a file
_FOREIGN = (
    str(Path(torch.__file__).parent),
    str(Path(contextlib.__file__).parent),
    str(Path(__file__).parents[1]),
    "<",
)
_RECURRENT = ("aten.lstm.", "aten.gru.", "aten.rnn_tanh.", "aten.rnn_relu.", "aten.lstm_cell.", "aten.gru_cell.",
              "aten.rnn_tanh_cell.", "aten.rnn_relu_cell.")  # fmt: skip
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
    return str(target)


def functional_name(name: str) -> str:
    """Return the name of the call without side effects: 'aten.relu.default' for 'aten.relu_.default'."""
    space, _, rest = name.partition(".")
    packet, _, overload = rest.partition(".")
    return f"{space}.{packet[:-1]}.{overload}" if packet.endswith("_") and not packet.endswith("__") else name


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
    shapes = pytree.tree_map(lambda axis: None if axis is None or axis < 0 else {axis: Dim.AUTO}, batched)
    positional, named = shapes
    # keyed by the parameters of `forward`, *args and **kwargs as one each, which is how export sees them
    dynamic = dict(inspect.signature(model.forward).bind(*positional, **named).arguments)
    try:
        with quiet():
            program = torch.export.export(model, args, kwargs or None, dynamic_shapes=dynamic, strict=False)
            return decompose(program)
    except Exception as error:
        raise explain(error) from error


def decompose(program: ExportedProgram) -> ExportedProgram:
    """Unroll recurrent calls, and make the program functional where that takes more than renaming.

    Running decompositions costs several times the export itself, so it is done only if something asks
    for it: a recurrent or composite call without a lowering, or an in-place write into a view.
    """
    wanted = {n.target for n in program.graph.nodes if n.op == "call_function" and _unknown(n)}
    recurrent = any(target_name(t).startswith(_RECURRENT) for t in wanted)
    if not (recurrent or wanted or any(_writes_into_view(n) for n in program.graph.nodes)):
        return program
    known = torch.export.default_decompositions()
    table = {t: known[t] for t in known if recurrent and target_name(t).startswith(_RECURRENT)}
    table.update({t: known[t] for t in wanted if t in known})
    if not table and not any(_writes_into_view(n) for n in program.graph.nodes):
        return program
    return decompose(program.run_decompositions(table))  # what a call decomposes to may need the same


def _unknown(node: fx.Node) -> bool:
    """Return whether a call that makes tensors (no size, no assertion) has no lowering."""
    makes = isinstance(node.meta.get("val"), Tensor | tuple | list)
    known = functional_name(target_name(node.target)) in LOWERINGS
    return isinstance(node.target, torch._ops.OpOverload) and makes and not known


def _writes_into_view(node: fx.Node) -> bool:
    """Return whether an in-place call changes a tensor that another name can see."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or not target._schema.is_mutable:
        return False
    if functional_name(target_name(target)) == target_name(target):
        return True  # writes into an `out=` argument or the like
    changed = node.args[0]
    if not isinstance(changed, fx.Node) or changed.op != "call_function" or _is_view(changed.target):
        return True
    before = [user for user in changed.users if user is not node and user < node]
    return any(_is_view(user.target) and any(later > node for later in user.users) for user in before)


def _is_view(target: Any) -> bool:
    if not isinstance(target, torch._ops.OpOverload):
        return True
    name = target._schema.name.split("::")[-1]
    if target._schema.is_mutable:  # returns its first argument, which is renamed along with it
        return False
    return name in _MAY_ALIAS or any(r.alias_info is not None for r in target._schema.returns)


_CAUSES = (
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


def explain(error: Exception) -> TraceError:
    """Turn an exception of export into one line with the user's place, the cause and the remedy."""
    if isinstance(error, TraceError):
        return error
    frames = [(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)]
    text = str(error)
    where = user_line(frames) or user_line(_frames_in(text))
    for sign, why, remedy in _CAUSES:
        if sign in text or sign in type(error).__name__:
            return TraceError("torch.export cannot trace the model", where=where, why=why, remedy=remedy)
    line = next((s for s in text.splitlines() if s.strip()), type(error).__name__)
    return TraceError(
        "torch.export cannot trace the model", where=where, why=f"{type(error).__name__}: {line[:300]}",
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
