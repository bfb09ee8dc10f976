"""How a network runs in one mode, training or evaluation: its graph, and what leads back to the input."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from splinegraph.core.algebra import between, find
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.errors import BatchError, ShapeError, SplineGraphError, TraceError, UnsupportedOperatorError
from splinegraph.operators.opaque import Opaque
from splinegraph.tracers.checking import training_modules
from splinegraph.tracers.tracing import trace, trace_training
from splinegraph.tracers.training import untouched
from splinegraph.training.network.encoding import (
    Encoded,
    encode,
    encode_by_autograd,
    first_output,
    reconstruct_by_autograd,
)

__all__ = ["Mode", "open_mode"]


@dataclass(frozen=True, eq=False)
class Mode:
    """A model as it is in one mode.

    Parameters
    ----------
    model : nn.Module
    graph : SplineGraph or None
        None where it cannot be traced for batches; autograd then differentiates the model itself.
    explicit : bool
        Whether the pieces of the graph lead back, or autograd.
    """

    model: nn.Module
    graph: SplineGraph | None
    explicit: bool
    _cuts: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def encode(self, x: Tensor, layers: tuple[str, ...]) -> Encoded:
        """Return logits, reconstruction and those of the layers."""
        names = self.cut(layers)
        if self.graph is None:
            return reconstruct_by_autograd(self.model, x)
        self.graph.check_inputs((x,))
        return (encode if self.explicit else encode_by_autograd)(self.graph, x, names)

    def cut(self, layers: tuple[str, ...]) -> tuple[str, ...]:
        """Return the nodes of these layers, or raise unless every path from the input passes each."""
        if layers not in self._cuts:
            self._cuts[layers] = tuple(self._node(layer) for layer in layers)
        return self._cuts[layers]

    def _node(self, layer: str) -> str:
        if self.graph is None:
            raise SplineGraphError(
                f"no value of layer {layer!r}", why="the model cannot be traced, so it has no layers to cut at",
                remedy="leave out layers=",
            )  # fmt: skip
        node = find(self.graph, layer)
        if node.is_input:
            raise SplineGraphError(
                f"layer {layer!r} is the input", why="its reconstruction is the usual one", remedy="leave it out"
            )
        between(self.graph, node.name, self.graph.outputs[0])
        return node.name


def open_mode(model: nn.Module, example: Tensor, *, explicit: bool) -> Mode:
    """Trace a model in its present mode, and see which way leads back to the input."""
    try:
        graph = trace_training(model, example) if training_modules(model) else trace(model, example)
    except BatchError:
        raise
    except TraceError as error:
        return _untraced(model, example, str(error))
    if len(graph.inputs) != 1 or graph.input_shapes[0] != example.shape[1:]:
        raise ShapeError(
            f"{graph.name} does not take the example as its only differentiable input",
            remedy="give a model of one floating point input",
        )
    if not graph.batched:
        return _untraced(model, example, "; ".join(graph.notes))
    return Mode(model, graph, explicit and _leads_back(model, graph, example))


def _untraced(model: nn.Module, example: Tensor, why: str) -> Mode:
    """Return a mode without a graph; refuse one whose derivative would run through other samples."""
    mixing = [
        name for name, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (module.training or module.running_mean is None)
    ]  # fmt: skip
    if mixing:
        raise TraceError(
            "the model cannot be traced for batches", why=why,
            remedy=f"without a graph, put the batch norm {mixing[0]!r} into eval mode: its statistics mix samples",
        )  # fmt: skip
    if _mixes(model, example):
        raise BatchError(
            "the logits of one sample depend on the others of its batch", why=why,
            remedy="give a model that treats samples one by one, without statistics or products across the batch",
        )  # fmt: skip
    warnings.warn(f"the inverse comes from autograd, by a double backward: {why}", stacklevel=5)
    return Mode(model, None, explicit=False)


def _mixes(model: nn.Module, example: Tensor) -> bool:
    """Return whether the logits of the first of three samples, near the example, move with those of the others."""
    with untouched(model), torch.enable_grad():
        x = (example + torch.randn(3, *example.shape[1:]).to(example)).requires_grad_()
        (logits, *_) = first_output(model(x))
        if not logits.requires_grad:
            return False
        (found,) = torch.autograd.grad((logits * torch.randn_like(logits)).sum(), x, allow_unused=True)
    return found is not None and bool(found[1:].nan_to_num().any())


def _leads_back(model: nn.Module, graph: SplineGraph, example: Tensor) -> bool:
    """Return whether the adjoint of every opaque operator can be differentiated; warn where there are any."""
    opaque = [node for node in graph.operators if isinstance(node.op, Opaque)]
    if not opaque:
        return True
    why = _random(opaque) or _refusal(model, graph, example, encode)
    names = ", ".join(f"{node.op.label} ({node.where})" for node in opaque[:3]) + (", ..." if len(opaque) > 3 else "")
    if not why:
        warnings.warn(f"autograd inverts what has no operator: {names}", stacklevel=6)
        return True
    neither = _refusal(model, graph, example, encode_by_autograd)
    if neither:
        raise UnsupportedOperatorError(
            "the model has no inverse that can be trained", where=opaque[0].where, why=neither,
            remedy=f"replace {opaque[0].op.label} by a call that torch can differentiate twice",
        )  # fmt: skip
    warnings.warn(f"the inverse comes from autograd, by a double backward, because of {names}: {why}", stacklevel=6)
    return False


def _random(nodes: Sequence[Node]) -> str:
    """Return what is random among opaque calls: a second call, for the adjoint, would differ from the first."""
    for node in nodes:
        tags = getattr(getattr(node.op, "function", None), "tags", ())
        if torch.Tag.nondeterministic_seeded in tags:
            return f"{node.op.label} is random"
    return ""


def _refusal(model: nn.Module, graph: SplineGraph, example: Tensor, way: Callable[..., Encoded]) -> str:
    """Return why a pass forward and back fails or cannot be differentiated, '' if it can."""
    x = example.expand(2, *example.shape[1:])
    trainable = [p for p in model.parameters() if p.requires_grad]
    try:
        with untouched(model), torch.enable_grad():
            found = way(graph, x, ()).reconstruction
            if trainable and not found.requires_grad:  # where torch knows no derivative, nothing comes back
                return "torch has no derivative for it"
            if trainable:
                torch.autograd.grad(found.sum(), trainable, allow_unused=True)
    except (RuntimeError, NotImplementedError, SplineGraphError) as error:
        return str(error).split("\n")[0]
    return ""
