"""Spectral norms: upper bounds of convolutions from the Fourier transform of the kernel, brackets of any operator.

A convolution with zero padding is a part of a circular one on a grid so large that nothing wraps around, and the
circular one is a matrix per frequency. On a coarser grid a factor makes up for the frequencies between: every
entry u* K(w) v is a trigonometric polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.bound import Bound
from splinegraph.core.operator import Shapes
from splinegraph.core.parameters import Context

__all__ = ["convolution_norm", "operator_norm"]

ROUNDING = 1e-11
"""Relative margin for the rounding of phases, products and eigenvalues in float64."""

MOST_WORK = 2**31
"""Multiplications of all frequencies' Gram matrices beyond which the grid is coarser."""

COARSE, FINE = 16, 64
"""Points per degree of a polynomial that a coarse grid has at least, and at most: 2 % and 0.12 % per axis."""

CHUNK = 2**21
"""Entries of the matrices that are worked on at a time."""

SMALL = 48
"""Rows of a Gram matrix up to which its eigenvalues are cheaper than a bound of them."""


@dataclass(frozen=True)
class _Axis:
    """The frequencies of one axis: `points` on the circle, `stride` of them at a time make one matrix."""

    points: int
    stride: int
    spacing: int
    factor: float = 1.0


def convolution_norm(
    weight: Tensor,
    size: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> float:
    """Return an upper bound of the l2 norm of a convolution with zero padding, and so of its adjoint's.

    Parameters
    ----------
    weight : Tensor of shape (out, in / groups, *kernel)
    size : sequence of int, optional
        Spatial size of the input; without it the bound holds for every size.
    stride, padding, dilation : sequence of int
    groups : int

    Returns
    -------
    float
        Above the norm by what the zeros around the input take away, and by the factor of a coarse grid.

    Notes
    -----
    Cost: one Gram matrix per frequency and group, of the smaller side of the kernel, and eigenvalues where a bound
    of them does not settle it. 64 channels on 32x32 take half a second.

    References
    ----------
    .. [1] H. Sedghi, V. Gupta, P. M. Long, "The Singular Values of Convolutional Layers", ICLR 2019.
    .. [2] H. Ehlich, K. Zeller, "Schwankung von Polynomen zwischen Gitterpunkten", Math. Z. 86, 1964.
    """
    weight = weight.detach().cpu().double()
    if not weight.numel():
        return 0.0
    if not bool(weight.isfinite().all()):
        return math.inf
    out, per_group = weight.shape[0] // groups, weight.shape[1]
    work = out * per_group * math.prod(stride) * min(out, per_group * math.prod(stride)) * groups
    sizes = [None] * len(stride) if size is None else list(size)
    settings = list(zip(sizes, weight.shape[2:], stride, padding, dilation, strict=True))
    axes = [_exact(*setting) for setting in settings]
    if math.prod(a.points // a.stride for a in axes) * work > MOST_WORK or size is None:
        room = (MOST_WORK / work) ** (1 / len(axes))  # coarse frequencies per axis
        coarse = [_coarse(k, s, d, room) for _, k, s, _, d in settings]
        pairs = zip(axes, coarse, strict=True)
        axes = [c if size is None or c.points < a.points else a for a, c in pairs]
    return math.sqrt(_largest(weight, axes, groups)) * math.prod(a.factor for a in axes) * (1 + ROUNDING)


def _exact(size: int | None, kernel: int, stride: int, padding: int, dilation: int) -> _Axis:
    """Return a grid on which nothing wraps around, or only what zeros on both sides make harmless."""
    if size is None:
        size = 1
    wrapped = dilation * (kernel - 1)
    if stride == dilation == 1 and kernel % 2 and padding == kernel // 2:
        wrapped = kernel // 2  # outputs are wanted at the places of inputs only
    points = -(-(size + wrapped) // stride) * stride
    return _Axis(points, stride, dilation)


def _coarse(kernel: int, stride: int, dilation: int, room: float) -> _Axis:
    """Return a grid of at most about `room` frequencies, and the factor that makes its bound one for all."""
    spacing = dilation if stride > 1 else 1  # without aliases the frequencies of taps far apart are the same ones
    degree = -(-spacing * (kernel - 1) // 2)
    if degree == 0:
        return _Axis(stride, stride, spacing)
    points = stride * max(-(-COARSE * degree // stride), int(min(room, FINE * degree / stride)))
    return _Axis(points, stride, spacing, 1 / math.cos(math.pi * degree / points))


def _largest(weight: Tensor, axes: Sequence[_Axis], groups: int) -> float:
    """Return the largest eigenvalue of the Gram matrices of all frequencies."""
    best = 0.0
    for gram in _grams(weight, axes, groups):
        if gram.shape[-1] > SMALL:
            square = gram @ gram
            fourth = square @ square
            bounds = torch.linalg.matrix_norm(fourth).pow(0.25)  # ||G||^4 <= ||G^4||_F
            order = bounds.argsort(descending=True)
            for part in order.split(max(1, CHUNK // gram[0].numel() // 8)):
                if float(bounds[part[0]]) > best:
                    best = max(best, float(torch.linalg.eigvalsh(gram[part])[..., -1].max()))
        else:
            best = max(best, float(torch.linalg.eigvalsh(gram)[..., -1].max()))
    return best


def _grams(weight: Tensor, axes: Sequence[_Axis], groups: int) -> Iterator[Tensor]:
    """Yield Gram matrices, shape (n, side, side): one per frequency and group, up to complex conjugates."""
    taps = torch.cartesian_prod(*(torch.arange(k) * a.spacing for k, a in zip(weight.shape[2:], axes, strict=True)))
    taps = taps.reshape(-1, len(axes)).double()
    coarse = torch.cartesian_prod(*(torch.arange(a.points // a.stride) for a in axes)).reshape(-1, len(axes))
    counts = torch.tensor([a.points // a.stride for a in axes])
    places = torch.tensor([math.prod(counts[i + 1 :].tolist()) for i in range(len(axes))])
    coarse = coarse[(coarse * places).sum(1) <= (-coarse % counts * places).sum(1)]  # the rest are conjugates
    aliases = torch.cartesian_prod(*(torch.arange(a.stride) for a in axes)).reshape(-1, len(axes)) * counts
    points = torch.tensor([a.points for a in axes])
    flat = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
    kernel = flat.permute(3, 0, 1, 2).reshape(len(taps), -1).to(torch.complex128)
    for part in coarse.split(max(1, CHUNK // (len(aliases) * weight[:, :, :1].numel() // weight.shape[2] or 1))):
        turns = (part[:, None] + aliases).double() / points  # (frequencies, aliases, axes)
        phases = torch.exp(-2j * math.pi * (turns @ taps.T))
        k = (phases @ kernel).reshape(len(part), len(aliases), *flat.shape[:3])
        rows = k.permute(0, 2, 3, 1, 4).flatten(3).flatten(0, 1) / math.sqrt(len(aliases))
        yield rows @ rows.mH if rows.shape[1] <= rows.shape[2] else rows.mH @ rows


def operator_norm(operator: AffineOperator, shapes: Shapes, arg: int = 0, *, steps: int = 60, seed: int = 0) -> Bound:
    """Return both ends of the l2 norm of an affine operator in one argument.

    Parameters
    ----------
    operator : AffineOperator
    shapes : shapes of its arguments
    arg : int
    steps : int
        Most pairs of a forward and an adjoint pass for the lower end.
    seed : int
        Of the vector it starts from.

    Returns
    -------
    Bound
        Above what the operator declares; below |A v| of a unit vector v, which is the witness. 'exact' never: even
        where both agree they hold up to rounding.

    Notes
    -----
    The lower end is Golub's and Kahan's bidiagonalization in its form for A^T A, made orthogonal anew at every
    step. Cost: `steps` passes each way, and `steps` vectors of memory.

    References
    ----------
    .. [1] G. Golub, W. Kahan, "Calculating the Singular Values and Pseudo-Inverse of a Matrix", SIAM J. Numer.
       Anal. B 2, 1965.
    """
    with torch.no_grad():
        exact = Context(dtype=torch.float64, device=None).resolve(operator)
        shapes = [tuple(shape) for shape in shapes]
        others = [torch.zeros(shape, dtype=torch.float64) for shape in shapes]
        upper = operator.lipschitz(2, arg, shapes=shapes)

        def forward(v: Tensor) -> Tensor:
            args = [*others[:arg], v.reshape(shapes[arg]), *others[arg + 1 :]]
            result: Tensor = exact.linear(*args)
            return result

        v = torch.randn(math.prod(shapes[arg]), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        basis, images = [v / v.norm()], []
        for _ in range(min(steps, len(v))):
            images.append(exact.adjoint(forward(basis[-1]), shapes)[arg].reshape(-1))
            rest, Q = images[-1], torch.stack(basis)
            for _ in range(2):  # once more for what the first pass rounded away
                rest = rest - Q.mT @ (Q @ rest)
            if not float(rest.norm()) > ROUNDING * float(images[-1].norm()):
                break
            basis.append(rest / rest.norm())
        Q = torch.stack(basis[: len(images)])
        small = Q @ torch.stack(images, 1)
        v = Q.mT @ torch.linalg.eigh((small + small.mT) / 2).eigenvectors[:, -1]
        lower = float(forward(v).norm() / v.norm()) * (1 - ROUNDING)
    return Bound(min(lower, upper), upper, "bracket", witness=v.reshape(shapes[arg]))
