"""What laws are checked on, and what they check with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from splinegraph.core.operator import Boxes, Operator, Piece, SplineOperator
from splinegraph.core.parameters import Context
from splinegraph.core.values import Box

__all__ = ["Sample"]

EXACT = 1e-12
"""Relative and absolute error that a float64 evaluation may show against its reference."""

DERIVED = 1e-9
"""The same for what takes several steps: sums of products, chords, margins."""

SINGLE = 1e-4
"""The same for float32."""

NUMERIC = 1e-5
"""The same for central differences with step `STEP`."""

STEP = 1e-5

Arguments = list[Tensor]


@dataclass(frozen=True, eq=False)
class Sample:
    """An operator and what is needed to try it out.

    Parameters
    ----------
    operator : Operator
    shapes : tuple of tuple of int
        Shapes of its arguments, batch axis included; small, as laws form dense matrices.
    reference : callable, optional
        The torch function that it stands for, in float64. Default: the operator's own `forward`.
    spans : tuple of (low, high)
        Where random points are drawn, one pair per argument or one for all.
    batch, batch_out : int or None
        The batch axis of the arguments and of the value (default: the same); None if there is none.
    whole : tuple of int
        Arguments that hold whole numbers only (conditions, say).
    boxes : tuple of (low, high)
        More boxes to try, the same interval in every coordinate.
    skips : mapping from law to reason
        Laws (function names) that do not apply.
    name : str
        Default: the operator's label.
    """

    operator: Operator
    shapes: tuple[tuple[int, ...], ...]
    reference: Callable[..., Tensor] | None = None
    spans: tuple[tuple[float, float], ...] = ((-3.0, 3.0),)
    batch: int | None = 0
    batch_out: int | None = None
    whole: tuple[int, ...] = ()
    boxes: tuple[tuple[float, float], ...] = ()
    skips: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return self.name or self.operator.label

    def resolved(self, dtype: torch.dtype = torch.float64, batch: int | None = None) -> Operator:
        """Return the operator with its parameters in one dtype."""
        if batch is None:
            batch = None if self.batch is None else self.shapes[0][self.batch]
        return Context(dtype, None, batch).resolve(self.operator)

    def sides(self) -> Iterator[tuple[tuple[int, ...], float, float]]:
        """Yield shape and span of every argument."""
        spans = self.spans * len(self.shapes) if len(self.spans) == 1 else self.spans
        for shape, (low, high) in zip(self.shapes, spans, strict=True):
            yield shape, low, high

    def point(self, seed: int, *, tied: bool = False) -> Arguments:
        """Return random arguments; rounded to halves, so that many values coincide, if `tied`."""
        generator = torch.Generator().manual_seed(seed)
        found = []
        for i, (shape, low, high) in enumerate(self.sides()):
            x = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
            x = ((2 * x).round() / 2).clamp(low, high) if tied else x
            found.append(x.round() if i in self.whole else x)
        return found

    def points(self) -> Iterator[Arguments]:
        """Yield random arguments, generic ones and tied ones."""
        yield from (self.point(seed) for seed in range(2))
        yield from (self.point(seed, tied=True) for seed in range(2))

    def directions(self, seed: int, *leading: int) -> Arguments:
        """Return normal directions of shape (*leading, *argument)."""
        generator = torch.Generator().manual_seed(1000 + seed)
        return [torch.randn((*leading, *s), generator=generator, dtype=torch.float64) for s in self.shapes]

    def domains(self) -> Iterator[list[Box]]:
        """Yield boxes, one per argument: small, touching breakpoints, points, large and infinite."""
        yield [Box.around(x, radius=0.25) for x in self.point(10)]
        for seed in (20, 30):
            ends = zip(self.point(seed, tied=True), self.point(seed + 1, tied=True), strict=True)
            yield [Box(torch.minimum(a, b), torch.maximum(a, b)) for a, b in ends]
        yield [Box(x, x) for x in self.point(40, tied=True)]
        for low, high in (*self.boxes, *self.spans[:1]):
            yield [Box(torch.full(s, low).double(), torch.full(s, high).double()) for s in self.shapes]
        yield from self.infinite()

    def infinite(self) -> Iterator[list[Box]]:
        """Yield boxes with infinite sides."""
        xs = self.point(50)
        infinite = [torch.full_like(x, torch.inf) for x in xs]
        yield [Box.everything(shape) for shape in self.shapes]
        yield [Box(x, i) for x, i in zip(xs, infinite, strict=True)]
        yield [Box(-i, x) for x, i in zip(xs, infinite, strict=True)]
        yield [Box(x, torch.where(x > x.median(), i, x + 1)) for x, i in zip(xs, infinite, strict=True)]

    def inside(self, boxes: Boxes | None) -> Callable[[int], Arguments]:
        """Return what draws a point of the boxes (None: anywhere) and of the spans; a random corner at odd seeds."""
        ends = []
        for i, (_, low, high) in enumerate(self.sides()):
            lower, upper = boxes[i] if boxes is not None else (torch.tensor(low).double(), torch.tensor(high).double())
            lower = torch.where(lower.isinf(), upper.clamp(max=low), lower)
            upper = torch.where(upper.isinf(), lower.clamp(min=high), upper)
            ends.append((lower, upper - lower))

        def draw(seed: int) -> Arguments:
            return [lower + share * width for share, (lower, width) in zip(self._shares(seed), ends, strict=True)]

        return draw

    def _shares(self, seed: int) -> Arguments:
        """Return where in their spans random arguments lie, from 0 to 1; every law asks for the same few seeds."""
        if seed not in self._drawn:
            whole = range(len(self.shapes)) if seed % 2 else self.whole
            shares = [
                (u - low) / (high - low) for u, (_, low, high) in zip(self.point(seed), self.sides(), strict=True)
            ]
            self._drawn[seed] = [share.round() if i in whole else share for i, share in enumerate(shares)]
        return self._drawn[seed]

    @functools.cached_property
    def _drawn(self) -> dict[int, Arguments]:
        return {}


# Helpers. `assert` would vanish under python -O, and this module is for users too.


def require(holds: bool | Tensor, what: str) -> None:
    if not bool(holds):
        raise AssertionError(what)


def agree(got: Tensor, want: Tensor, what: str, tol: float = DERIVED) -> None:
    got, want = got.detach() if got.is_floating_point() else got.double(), want.detach()
    require(got.shape == want.shape, f"{what}: shape {tuple(got.shape)}, expected {tuple(want.shape)}")
    close = torch.isclose(got, want.to(got.dtype), rtol=tol, atol=tol)
    if not bool(close.all()):
        at = tuple(int(i) for i in (~close).nonzero()[0])
        raise AssertionError(f"{what}: {float(got[at])!r} at {at}, expected {float(want[at])!r}")


def piece_at(operator: Operator, xs: Arguments) -> Piece:
    """Return the piece at xs, from the code where there is one."""
    if isinstance(operator, SplineOperator):
        return operator.piece(operator.code(*xs), [x.shape for x in xs])
    return operator.linearize(*xs)


def value_at(operator: Operator, xs: Arguments) -> Tensor:
    """Return the value at xs as numbers, if it is bool or integer."""
    value = operator.forward(*xs).detach()
    return value if value.is_floating_point() else value.to(xs[0].dtype)


def pull_back(piece: Piece, u: Tensor, xs: Arguments) -> Arguments:
    """Return the adjoint, with zeros for None (which stands for them where nothing can flow back)."""
    leading = u.shape[: u.dim() - piece.apply(*xs).dim()]
    found = piece.adjoint(u)
    require(len(found) == len(xs), f"adjoint gives {len(found)} results for {len(xs)} arguments")
    return [u.new_zeros(*leading, *x.shape) if p is None else p for p, x in zip(found, xs, strict=True)]


def switching(sample: Sample) -> SplineOperator | None:
    """Return the operator if it has codes."""
    operator = sample.resolved()
    return operator if isinstance(operator, SplineOperator) and operator.alphabet(sample.shapes) != 1 else None


def moved(xs: Arguments, vs: Arguments, t: float) -> Arguments:
    return [x + t * v for x, v in zip(xs, vs, strict=True)]


def dot(us: Sequence[Tensor], vs: Sequence[Tensor]) -> Tensor:
    return torch.stack([(u * v).sum() for u, v in zip(us, vs, strict=True)]).sum()


def matrix(piece: Piece, xs: Arguments, arg: int) -> Tensor:
    """Return the dense matrix of a piece in one argument, shape (outputs, inputs)."""
    n = xs[arg].numel()
    vs = [x.new_zeros(n, *x.shape) for x in xs]
    vs[arg] = torch.eye(n, dtype=xs[arg].dtype).reshape(n, *xs[arg].shape)
    return piece.tangent(*vs).detach().reshape(n, -1).T


def crossing(operator: SplineOperator, xs: Arguments, ys: Arguments) -> tuple[Arguments, Arguments] | None:
    """Return neighbors of different codes on the segment from xs to ys, or None if it has one code."""
    start, step = operator.code(*xs), [y - x for x, y in zip(xs, ys, strict=True)]
    if torch.equal(start, operator.code(*ys)):
        return None
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        same = torch.equal(operator.code(*moved(xs, step, middle)), start)
        low, high = (middle, high) if same else (low, middle)
    return moved(xs, step, low), moved(xs, step, high)
