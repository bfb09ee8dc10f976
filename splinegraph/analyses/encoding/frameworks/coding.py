"""What all codes of Table 3 give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from splinegraph.errors import ShapeError, require_whole

__all__ = ["Coding", "coded", "dictionary", "number", "samples"]


@dataclass(frozen=True, eq=False)
class Coding:
    """Codes and reconstructions of samples.

    Parameters
    ----------
    name : str
    code : Tensor of shape (B, K)
    atoms : Tensor of shape (K, D)
        Row i is what a coefficient of 1 adds to the reconstruction: df_i/dx of the paper's table.
    reconstruction : Tensor of shape (B, D)
        code @ atoms.
    loss : Tensor of shape (B,)
        |x - reconstruction|^2.
    energy : float
        Sum of |x|^2 over the samples.
    objective : float
        What was minimized, summed over the samples: the loss, and the penalty where there is one.
    gap : float
        How far the objective may be above its least value; 0 where the code is exact, infinite where only a local
        minimum was looked for.
    """

    name: str
    code: Tensor
    atoms: Tensor
    reconstruction: Tensor
    loss: Tensor
    energy: float
    objective: float
    gap: float = 0.0

    def __len__(self) -> int:
        return len(self.code)

    def __repr__(self) -> str:
        return (
            f"<Coding by {self.name}: {len(self)} samples, {self.coefficients:.3g} of {len(self.atoms)} coefficients, "
            f"relative error {self.relative:.4g}>"
        )

    @property
    def coefficients(self) -> float:
        """How many coefficients are not zero, per sample on average."""
        return float((self.code != 0).sum()) / len(self)

    @property
    def relative(self) -> float:
        """Sum of losses divided by the sum of |x|^2; nan for samples of zeros."""
        return float(self.loss.sum()) / self.energy if self.energy > 0 else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "name": self.name,
            "samples": len(self),
            "atoms": len(self.atoms),
            "coefficients": self.coefficients,
            "relative_error": self.relative if math.isfinite(self.relative) else None,
            "objective": self.objective,
            "gap": self.gap if math.isfinite(self.gap) else None,
        }


def coded(name: str, X: Tensor, code: Tensor, atoms: Tensor, *, penalty: float = 0.0, gap: float = 0.0) -> Coding:
    """Return a code with its reconstruction and losses; `penalty` is what the objective adds to them."""
    reconstruction = code @ atoms
    loss = (X - reconstruction).square().sum(1)
    energy, total = float(X.square().sum()), float(loss.sum())
    return Coding(name, code, atoms, reconstruction, loss, energy, total + penalty, gap)


def samples(X: Tensor) -> Tensor:
    """Return samples of shape (B, *in) as float64 rows, or refuse them."""
    if not isinstance(X, Tensor) or X.dim() < 2 or not X.numel():
        shape = tuple(X.shape) if isinstance(X, Tensor) else type(X).__name__
        raise ShapeError(f"samples of shape {shape}", remedy="give a tensor of shape (B, *in), not empty")
    rows = X.detach().reshape(len(X), -1).double()
    if not bool(rows.isfinite().all()):
        raise ShapeError("the samples hold NaN or infinite values", remedy="give finite numbers")
    return rows


def dictionary(W: Tensor, X: Tensor, *, zeros: bool = False) -> Tensor:
    """Return atoms of shape (K, *in) as float64 rows, or refuse them: other sizes, zeros unless they may be."""
    rows = samples(W)
    if rows.shape[1] != X.shape[1]:
        raise ShapeError(f"atoms of {rows.shape[1]} entries for samples of {X.shape[1]}")
    if not (zeros or bool((rows != 0).any(1).all())):
        raise ShapeError("an atom is zero", remedy="leave it out")
    return rows


def number(atoms: int, X: Tensor, most: int | None = None) -> int:
    """Return how many atoms to learn, or refuse the number."""
    require_whole("atoms", atoms)
    if most is not None and atoms > most:
        raise ShapeError(f"{atoms} atoms for {tuple(X.shape)} samples and entries", remedy=f"give at most {most}")
    return int(atoms)
