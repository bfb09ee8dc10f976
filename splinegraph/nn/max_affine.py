"""A maximum of affine functions, as a module."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.errors import ParameterError, ShapeError, require_whole

__all__ = ["MaxAffine"]


class MaxAffine(nn.Module):
    r"""The largest (or smallest) of some affine functions.

    .. math:: f_i(x) = \max_k \; \langle a_{ik}, x \rangle + b_{ik}

    Parameters
    ----------
    features : int
        n, entries of the input.
    pieces : int
        K, affine functions per output.
    outputs : int
        m.
    concave : bool
        Take the smallest instead.

    Notes
    -----
    The input is (B, n), the output (B, m). One `Linear` and one maximum when traced.

    Examples
    --------
    >>> f = MaxAffine.from_planes([[1.0], [-1.0]], [0.0, 0.0])     # |x|
    >>> f(torch.tensor([[-2.0], [3.0]])).flatten().tolist()
    [2.0, 3.0]
    """

    def __init__(self, features: int, pieces: int, outputs: int = 1, *, concave: bool = False) -> None:
        super().__init__()
        for name, number in (("features", features), ("pieces", pieces), ("outputs", outputs)):
            require_whole(name, number)
        self.concave = concave
        self.weight = nn.Parameter(torch.randn(outputs, pieces, features) / math.sqrt(features))
        self.bias = nn.Parameter(torch.zeros(outputs, pieces))

    @classmethod
    def from_planes(cls, A: object, b: object, *, concave: bool = False) -> MaxAffine:
        """Return the module of given hyperplanes.

        Parameters
        ----------
        A : array of shape (m, K, n), or (K, n) for one output
        b : array of shape (m, K), or (K,)
        concave : bool
        """
        weight, bias = (_numbers(values, name) for values, name in ((A, "A"), (b, "b")))
        weight, bias = (weight[None], bias[None]) if weight.dim() == 2 else (weight, bias)
        if weight.dim() != 3 or bias.shape != weight.shape[:2]:
            raise ShapeError(
                f"hyperplanes of shapes {tuple(weight.shape)} and {tuple(bias.shape)}",
                remedy="give A of shape (outputs, pieces, features) and b of shape (outputs, pieces)",
            )
        weight = weight if weight.is_floating_point() else weight.to(torch.get_default_dtype())
        outputs, pieces, features = weight.shape
        module = cls(features, pieces, outputs, concave=concave).to(weight.dtype)
        with torch.no_grad():
            module.weight.copy_(weight)
            module.bias.copy_(bias)
        return module

    def pieces(self, x: Tensor) -> Tensor:
        """Return the values of all affine functions, shape (B, m, K)."""
        m, K, n = self.weight.shape
        flat = F.linear(x, self.weight.reshape(m * K, n), self.bias.reshape(m * K))
        return flat.reshape(-1, m, K)

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest of them, shape (B, m)."""
        values = self.pieces(x)
        return values.amin(-1) if self.concave else values.amax(-1)

    def extra_repr(self) -> str:
        """Return the sizes, for printing."""
        m, K, n = self.weight.shape
        return f"{n}, {K}, {m}, concave={self.concave}"


def _numbers(values: object, name: str) -> Tensor:
    """Return given numbers as a tensor without NaN and infinite entries."""
    try:
        found = torch.as_tensor(values).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(f"{name} is no array of numbers", why=str(error)) from error
    if not bool(found.isfinite().all()):
        raise ParameterError(f"{name} holds NaN or infinite values", remedy="give finite numbers")
    return found
