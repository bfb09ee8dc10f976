"""The local affine map: f(x) = A[x] x + b[x] (paper Thm 1, Def 4, Eq 35-39)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from splinegraph.analyses.batches import chunks, part_size, promote, widest
from splinegraph.core.graph import SplineGraph
from splinegraph.core.linearization import Linearization, boundary
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError

__all__ = ["AffineMap", "DenseMap", "affine_map"]

CACHE_ENTRIES = 2**18
"""Entries of one adjoint pass's widest value: rows of A are taken together while they fit in the cache."""


class DenseMap(NamedTuple):
    """A of shape (B, *out, *in) and b of shape (B, *out); tuples of A where there are several inputs."""

    A: Any
    b: Tensor


@dataclass(frozen=True, eq=False)
class AffineMap:
    """A[x] and b[x] at a batch of inputs, lazily; made by `splinegraph.affine_map`.

    Parameters
    ----------
    graph : SplineGraph
    inputs : tuple of Tensor of shape (B, *in)
    parts : tuple of Linearization
        The pieces of all operators, for consecutive parts of the batch.
    differentiable : bool
        Whether results can be differentiated by the parameters and the inputs.
    """

    graph: SplineGraph
    inputs: tuple[Tensor, ...]
    parts: tuple[Linearization, ...]
    differentiable: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "_versions", _versions(self.graph))

    _versions: tuple[int, ...] = field(init=False, repr=False, default=())

    def __len__(self) -> int:
        return len(self.inputs[0])

    def __repr__(self) -> str:
        return f"<AffineMap: {len(self)} samples, {self.graph.input_shapes} -> {self.graph.output_shapes}, {self.kind}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def kind(self) -> Literal["exact", "tangent"]:
        """'exact' if f is this map on a whole cell around x, 'tangent' if it only touches f at x."""
        return "exact" if all(part.exact for part in self.parts) else "tangent"

    @functools.cached_property
    def boundary(self) -> Tensor:
        """Which samples lie on the boundary of their cell, shape (B,), bool; one more forward pass.

        True only if the tied candidates differ as functions of the input. Ties are decided within
        rounding: `splinegraph.core.linearization.TIE_TOLERANCE`.
        """
        with torch.no_grad():
            return torch.cat([boundary(self.graph, part.inputs) for part in self.parts])

    @property
    def value(self) -> Any:
        """f(x), shape (B, *out)."""
        return self._join([part.value for part in self.parts])

    @property
    def bias(self) -> Any:
        """b[x], shape (B, *out): the map at zero, one forward-sized pass, free of cancellation."""
        with self._gradients():
            return self._join([part.apply(*(torch.zeros_like(x) for x in part.inputs)) for part in self.parts])

    def matvec(self, *vs: Tensor) -> Any:
        """Return A[x] v for v of shape (B, *in), one per input; shape (B, *out)."""
        self._check(vs, self.graph.input_shapes, "input")
        with self._gradients():
            return self._join([part.tangent(*part_vs) for part, part_vs in self._zip(vs)])

    def rmatvec(self, *us: Tensor) -> Any:
        """Return A[x]^T u for u of shape (B, *out), one per output; shape (B, *in)."""
        self._check(us, self.graph.output_shapes, "output")
        with self._gradients():
            return self._join([part.adjoint(*part_us) for part, part_us in self._zip(us)])

    def rows(self, outputs: Sequence[int] | Tensor, *, chunk: int | None = None) -> Any:
        """Return chosen rows of A[x] (templates), shape (B, K, *in).

        Parameters
        ----------
        outputs : sequence of K int, or Tensor of shape (K,) or (B, K)
            Flat indices into one sample's output; a (B, K) tensor chooses other rows per sample.
        chunk : int, optional
            Rows per adjoint pass.
        """
        self._single_output("rows")
        size = math.prod(self.graph.output_shapes[0])
        index = torch.as_tensor(outputs, dtype=torch.int64, device=self.inputs[0].device)
        if index.dim() not in (1, 2) or (index.dim() == 2 and len(index) != len(self)):
            raise ShapeError(
                f"output indices of shape {tuple(index.shape)}", remedy=f"give shape (K,) or ({len(self)}, K)"
            )
        if index.numel() and not bool(((index >= -size) & (index < size)).all()):
            raise ShapeError(f"output index out of range: the output has {size} entries")
        index = (index % size).expand(len(self), index.shape[-1])
        found, start = [], 0
        for part in self.parts:
            stop = start + len(part.inputs[0])
            with self._gradients():
                found.append(self._rows(part, index[start:stop], chunk))
            start = stop
        return self._join(found)

    def dense(self, *, chunk: int | None = None) -> DenseMap:
        """Return all of A[x] and b[x].

        Rows are made by adjoint passes, or columns by tangent passes where the input is smaller than
        the output; `chunk` of them at a time (default: while they fit in the cache).
        """
        self._single_output("dense")
        size = math.prod(self.graph.output_shapes[0])
        total = sum(math.prod(shape) for shape in self.graph.input_shapes)
        if total < size and len(self.inputs) == 1:
            with self._gradients():
                return DenseMap(torch.cat([self._columns(part, chunk) for part in self.parts]), self.bias)
        found = self.rows(range(size), chunk=chunk)
        shape = (len(self), *self.graph.output_shapes[0])
        several = isinstance(found, tuple)
        blocks = tuple(g.reshape(*shape, *g.shape[2:]) for g in (found if several else (found,)))
        return DenseMap(blocks if several else blocks[0], self.bias)

    @property
    def stale(self) -> bool:
        """Whether a parameter has changed since, as far as torch's version counters tell.

        The map then is neither that of the network before nor after: make a new one.
        """
        return self._versions != _versions(self.graph)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "graph": self.graph.name,
            "samples": len(self),
            "kind": self.kind,
            "input_shapes": [list(shape) for shape in self.graph.input_shapes],
            "output_shapes": [list(shape) for shape in self.graph.output_shapes],
            "dtype": str(self.inputs[0].dtype),
            "boundary": self.boundary.tolist(),
            "stale": self.stale,
        }

    def verify(self) -> float:
        """Return the largest |f(x) - (A x + b)| relative to the largest |f(x)|."""
        f, mapped, b = (t if isinstance(t, tuple) else (t,) for t in (self.value, self.matvec(*self.inputs), self.bias))
        gaps = [
            float((y - (ax + c)).detach().abs().max() / y.detach().abs().max().clamp(min=torch.finfo(y.dtype).tiny))
            for y, ax, c in zip(f, mapped, b, strict=True)
        ]
        return max(gaps)

    # how

    def _gradients(self) -> torch.autograd.grad_mode.set_grad_enabled:
        return torch.set_grad_enabled(self.differentiable and torch.is_grad_enabled())

    def _rows(self, part: Linearization, index: Tensor, chunk: int | None) -> tuple[Tensor, ...]:
        """Return rows `index` of shape (b, K) by adjoint passes, as (b, K, *in) per input."""
        batch, count = index.shape
        (value,) = part.value
        results = tuple(x.new_empty(batch, count, *x.shape[1:]) for x in part.inputs)
        step = self._step(chunk, batch)
        for start in range(0, count, step):
            chosen = index[:, start : start + step].T  # (k, b)
            seeds = torch.zeros(*chosen.shape, value[0].numel(), dtype=value.dtype, device=value.device)
            seeds.scatter_(-1, chosen[..., None], 1.0)
            for result, g in zip(results, part.adjoint(seeds.reshape(-1, *value.shape)), strict=True):
                result[:, start : start + step] = g.transpose(0, 1)
        return results

    def _columns(self, part: Linearization, chunk: int | None) -> Tensor:
        """Return A of shape (b, *out, *in) by tangent passes."""
        (x,), (value,) = part.inputs, part.value
        size = x[0].numel()
        result = value.new_empty(*value.shape, size)
        step = self._step(chunk, len(x))
        for start in range(0, size, step):
            seeds = torch.eye(size, dtype=x.dtype, device=x.device)[start : start + step]
            seeds = seeds.reshape(-1, 1, *x.shape[1:]).expand(-1, *x.shape)
            result[..., start : start + step] = part.tangent(seeds)[0].movedim(0, -1)
        return result.reshape(*value.shape, *x.shape[1:])

    def _step(self, chunk: int | None, batch: int) -> int:
        return part_size("chunk", chunk, CACHE_ENTRIES // (batch * widest(self.graph)))

    def _join(self, parts: Sequence[Any]) -> Any:
        """Concatenate tuples of tensors over the parts; a single one comes without its tuple."""
        joined = tuple(torch.cat(column) if len(column) > 1 else column[0] for column in zip(*parts, strict=True))
        return joined[0] if len(joined) == 1 else joined

    def _zip(self, values: Sequence[Tensor]) -> list[tuple[Linearization, tuple[Tensor, ...]]]:
        pairs, start = [], 0
        for part in self.parts:
            stop = start + len(part.inputs[0])
            pairs.append((part, tuple(v[start:stop].to(part.inputs[0]) for v in values)))
            start = stop
        return pairs

    def _single_output(self, what: str) -> None:
        if len(self.graph.outputs) > 1:
            raise ShapeError(f"{what} needs a graph with one output", remedy="choose one with graph.output(i)")

    def _check(self, given: Sequence[Tensor], wanted: Sequence[tuple[int, ...]], what: str) -> None:
        shapes, expected = [tuple(t.shape) for t in given], [(len(self), *shape) for shape in wanted]
        if shapes != expected:
            raise ShapeError(f"expected shapes {expected}, one per {what}, got {shapes}")


def _versions(graph: SplineGraph) -> tuple[int, ...]:
    return tuple(t._version for t in graph.parameters())


def affine_map(
    graph: SplineGraph,
    *inputs: Tensor,
    dtype: torch.dtype | None = torch.float64,
    batch_size: int | None = None,
    differentiable: bool = False,
) -> AffineMap:
    """Return the affine map that the network applies at each input.

    Parameters
    ----------
    graph : SplineGraph
    *inputs : Tensor of shape (B, *in)
        One per input of the graph.
    dtype : torch.dtype or None, default torch.float64
        Arithmetic; None for that of the inputs.
    batch_size : int, optional
        Samples per pass.
    differentiable : bool, default False
        Keep what is needed to differentiate the results by the parameters, in one backward pass.

    Returns
    -------
    AffineMap
        With ``kind='exact'`` if every operator is piecewise affine: then f(x) = A[x] x + b[x] holds on
        the whole cell of x. Smooth and other differentiable operators give ``kind='tangent'``.

    Raises
    ------
    ShapeError
        If an input does not fit, or the batch is empty.
    UnsupportedOperatorError
        If an operator has no tangent; it is named with its module and source line.

    Notes
    -----
    One forward pass that keeps codes; nothing is taken from automatic differentiation, which picks
    arbitrary slopes at kinks. A then costs one adjoint pass per row.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Thm 1, Eq 35-39.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> sg.affine_map(graph, torch.tensor([[1.0, -1.0]])).dense().A.tolist()
    [[[1.0, 0.0], [0.0, 0.0]]]
    """
    inputs = promote(inputs, dtype)
    with torch.set_grad_enabled(differentiable and torch.is_grad_enabled()):
        parts = tuple(Linearization(graph, part) for part in chunks(graph, inputs, batch_size))
    return AffineMap(graph, tuple(inputs), parts, differentiable)
