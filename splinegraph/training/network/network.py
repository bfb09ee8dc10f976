"""`SplineNetwork`: a user's model whose forward pass gives the reconstruction of its input too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from splinegraph.core.graph import SplineGraph
from splinegraph.errors import ShapeError, SplineGraphError, TraceError, TrainingModeError
from splinegraph.operators.training import BatchStatistics
from splinegraph.tracers.modes import evaluating
from splinegraph.training.network.encoding import Encoded, first_output
from splinegraph.training.network.modes import Mode, open_mode

__all__ = ["SplineNetwork"]


class SplineNetwork(nn.Module):
    r"""x -> f(x) and its reconstruction A[x]^T f(x), for any model that can be traced (paper Eq 77-79).

    One forward pass keeps the piece that every operator is on; one pass back through these pieces
    (transposed convolutions, masks, unpooling) pulls the live logits to the input. Both are differentiable
    by the parameters without a double backward.

    Parameters
    ----------
    model : nn.Module
        A classifier of one floating point input. Its parameters and buffers are used as they are, never
        copied, and stay where they are: in `self.model`.
    example : Tensor of shape (B, *in)
        An input of the shape, dtype and device to come; the batch size is free.
    inverse : {'explicit', 'autograd'}, default 'explicit'
        'autograd' differentiates the forward pass, and its gradient is a double backward: slower, and
        refused by torch.compile. It is chosen with a warning where the model cannot be traced for batches,
        or holds an opaque operator whose adjoint cannot be differentiated.
    layers : sequence of str, optional
        Nodes (or module paths) whose values and reconstructions to give too (Eq 83-84); every path from
        the input must pass each of them.

    Raises
    ------
    TraceError, ParameterError, ShapeError
        As `splinegraph.trace` does; weights must be finite.
    SplineGraphError
        If a layer is bypassed by a path, or its batch is folded into another axis.

    Notes
    -----
    In training mode dropout masks are drawn once and used both ways. Batch norm takes the statistics of the
    batch and moves the running ones, exactly as the model alone does. Inside of A[x] these statistics are
    constants: A[x] is the derivative of f at x with the statistics held fixed, else one sample's inverse
    would depend on the others. The gradient by the parameters is that of the value, so it runs through
    the statistics both in f(x) and in A[x].

    At a kink the piece is the left one, as everywhere in this package. Smooth activations take their tangent.

    The model is traced when it is first used in a mode (which modules train, which evaluate), and again
    after its tensors were replaced (`model.to` replaces buffers). Under torch.compile call it once eagerly in
    that mode before. Two forward passes' worth of work, kept activations as for one.

    Works under bf16 autocast, `torch.utils.checkpoint` (running statistics then move twice, as those
    of any batch norm do) and DistributedDataParallel, which sees all of it in `forward`.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> spline = SplineNetwork(net, torch.zeros(1, 4))
    >>> found = spline(torch.randn(5, 4))
    >>> found.logits.shape, found.reconstruction.shape
    (torch.Size([5, 2]), torch.Size([5, 4]))
    """

    def __init__(
        self, model: nn.Module, example: Tensor, *, inverse: Literal["explicit", "autograd"] = "explicit",
        layers: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        if inverse not in ("explicit", "autograd"):
            raise SplineGraphError(f"no inverse {inverse!r}", remedy="choose 'explicit' or 'autograd'")
        if not isinstance(example, Tensor) or not example.is_floating_point():
            kind = example.dtype if isinstance(example, Tensor) else type(example).__name__
            raise ShapeError(f"the example input is a {kind}", remedy="give a floating point tensor with a batch axis")
        self.model = model
        self.inverse, self.layers = inverse, tuple(layers)
        self._example = example.detach()[:1].clone()
        self._compiled_logits: Callable[[Tensor], Tensor] | None = None
        self._forget()
        self.training = model.training  # not train(), which would wake modules that the user put to rest
        self._mode().cut(self.layers)

    def forward(self, x: Tensor, layers: Sequence[str] | None = None) -> Encoded:
        """Return logits, reconstruction and those of the layers for a batch, shape (B, *in).

        Parameters
        ----------
        layers : sequence of str, optional
            In place of the layers given at the start.

        Raises
        ------
        ShapeError
            If x has not the shape, dtype and device of the model.
        TrainingModeError
            If this network is in training mode and the model within was put into evaluation mode.
        """
        mode = self._mode()
        self._check(x)
        return mode.encode(x, self.layers if layers is None else tuple(layers))

    def logits(self, x: Tensor) -> Tensor:
        """Return f(x) alone, by the model's own forward pass, for a batch of shape (B, *in).

        Raises
        ------
        ShapeError, TrainingModeError
            As a call does.
        """
        self._check(x)
        return (self._compiled_logits or self._logits)(x)

    def _logits(self, x: Tensor) -> Tensor:
        return first_output(self.model(x))

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile calls and `logits` in place, with the arguments of `torch.compile`."""
        super().compile(*args, **kwargs)
        self._compiled_logits = torch.compile(self._logits, *args, **kwargs)

    @property
    def graph(self) -> SplineGraph:
        """The graph of the model in evaluation mode, which shares its parameters; traced once.

        Raises
        ------
        TraceError
            If there is none that takes batches.
        """
        with evaluating(self):
            graph = self._mode().graph
        if graph is None:
            raise TraceError(
                "the model has no graph that takes batches", why="autograd inverts it, as a warning said at its start",
                remedy="splinegraph.trace(model.eval(), x[:1]) may give one for single samples",
            )  # fmt: skip
        return graph

    @property
    def divisible(self) -> bool:
        """Whether parts of a batch may go forward one after the other, with the same result as together.

        They may not where batch statistics bind samples to each other, where a pass may move what the next one sees
        (buffers of modules that train), or where there is no graph to tell.
        """
        graph = self._mode().graph
        if graph is None or any(isinstance(node.op, BatchStatistics) for node in graph.operators):
            return False
        return not any(module.training and any(True for _ in module.buffers(recurse=False)) for module in self._parts)

    def _check(self, x: Tensor) -> None:
        """Raise if the input has another shape, or would be cast or moved behind the user's back."""
        shape = tuple(self._example.shape[1:])
        if tuple(x.shape[1:]) != shape or not x.dim():
            wanted = f"({', '.join(['B', *map(str, shape)])})"
            hint = "add a batch axis" if tuple(x.shape) == shape else f"give shape {wanted}"
            raise ShapeError(f"the input has shape {tuple(x.shape)}, expected {wanted}", remedy=hint)
        for like in self._like:
            if (x.dtype, x.device) != (like.dtype, like.device):
                raise ShapeError(
                    f"the input is {x.dtype} on {x.device}, the model {like.dtype} on {like.device}",
                    remedy=f"give x.to({str(like.device)!r}, {like.dtype})",
                )
        if self.training and not self.model.training:
            raise TrainingModeError(
                "the model is in evaluation mode and the network that trains it is not",
                why="model.eval() was called on the model within", remedy="call train() on the network again",
            )  # fmt: skip

    # traces, one per mode

    def _forget(self) -> None:
        """Drop all traces, and note which tensors and modules the next ones see."""
        modules = list(self.model.modules())
        self._modes: dict[tuple[bool, ...], Mode] = {}
        self._parts = modules
        tensors = [table for module in modules for table in (module._parameters, module._buffers)]
        self._held = [(table, name, tensor) for table in tensors for name, tensor in table.items()]
        self._like = tuple(p for p in self.model.parameters() if p.is_floating_point())[:1]

    def _mode(self) -> Mode:
        """Return the model as it is now, traced if it has not been in this mode."""
        stale = not torch.compiler.is_compiling() and any(table.get(name) is not t for table, name, t in self._held)
        if stale:
            self._forget()
        key = tuple([module.training for module in self._parts])
        if key not in self._modes:
            self._open(key)
        return self._modes[key]

    def _open(self, key: tuple[bool, ...]) -> None:
        # not as a decorator, which would import the compiler together with this module
        torch.compiler.disable(self._trace)(key)

    def _trace(self, key: tuple[bool, ...]) -> None:
        (like,) = self._like or (self._example,)
        example = self._example.to(like.device, like.dtype)
        self._modes[key] = open_mode(self.model, example, explicit=self.inverse == "explicit")

    def __getstate__(self) -> dict[str, Any]:
        # a copy traces itself again: its tables are not those noted here
        state = self.__dict__.copy()
        state.update(_modes={}, _parts=[], _held=[(state, "", state)], _like=(), _compiled_logits=None)
        return state
