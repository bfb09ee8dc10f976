"""What `splinegraph.paths` returns."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap
from splinegraph.analyses.paths.branches import Branch
from splinegraph.analyses.paths.families import Families, Lengths
from splinegraph.analyses.paths.walking import contributions, rows
from splinegraph.analyses.provenance import Provenance
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError, SplineGraphError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PathDecomposition", "View"]

LISTED = 5
"""Samples whose numbers `to_dict` holds."""


@dataclass(frozen=True)
class View:
    """Which of the families of one walk are kept.

    Parameters
    ----------
    families : Families
    count : int
        How many the walk has.
    kept : tuple of int
    """

    families: Families
    count: int
    kept: tuple[int, ...]

    def contributions(self, local: AffineMap) -> Tensor:
        """Return what the kept families give to the output, shape (I + 1, kept, B, *out)."""
        parts = [contributions(part, self.families, self.count) for part in local.parts]
        return torch.cat(parts, 2)[:, list(self.kept)]

    def rows(self, local: AffineMap, seeds: Tensor) -> tuple[Tensor, ...]:
        """Return the kept families' parts of u^T A for u of shape (K, B, *out); (kept, K, B, *in) per input."""
        pieces = torch.split(seeds, [len(part.inputs[0]) for part in local.parts], 1)
        found = [
            rows(part, self.families, self.count, u.contiguous()) for part, u in zip(local.parts, pieces, strict=True)
        ]
        return tuple(torch.cat(column, 2)[list(self.kept)] for column in zip(*found, strict=True))


@dataclass(frozen=True, eq=False, repr=False)
class PathDecomposition:
    """f(x) = A[x] x + b[x] as a sum over families of paths; made by `splinegraph.paths`.

    F families, B samples, I inputs, K classes.

    Parameters
    ----------
    graph : SplineGraph
    by : {'length', 'block', 'subset', 'time', 'layer', 'source'}
    names : tuple of F str
    counts : tuple of F int or None
        Paths of each family; None where they are not counted.
    by_input : Tensor of shape (I, F, B, *out)
        What the paths from each input carry to the output: V_j x.
    biases : Tensor of shape (F, B, *out)
        What the paths from biases carry.
    value : Tensor of shape (B, *out)
        f(x).
    classes : Tensor of shape (B, K), int64
        The outputs that are shown, as flat indices.
    branches : tuple of Branch
        Residual branches that the paths take or do not take; none if the families are of cells.
    provenance : Provenance
    """

    graph: SplineGraph
    by: str
    names: tuple[str, ...]
    counts: tuple[int | None, ...]
    by_input: Tensor
    biases: Tensor
    value: Tensor
    classes: Tensor
    branches: tuple[Branch, ...]
    provenance: Provenance
    _map: AffineMap
    _views: tuple[View, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return (
            f"<PathDecomposition of {self.graph.name} by {self.by}: {len(self)} families, {len(self.value)} samples, "
            f"{self.kind}>"
        )

    def _repr_html_(self) -> str:
        return card(self)

    def __str__(self) -> str:
        return self.table()

    @property
    def kind(self) -> str:
        """'exact', or 'tangent' where an operator is not piecewise affine: the paths are then of its tangent."""
        return self._map.kind

    @property
    def complete(self) -> bool:
        """Whether the families hold each path once, so that they add up to f(x)."""
        every = self.by != "subset" or len(self) == 2 ** len(self.branches)
        return every and all(view.families.disjoint for view in self._views)

    @property
    def stale(self) -> bool:
        """Whether a parameter changed since."""
        return self._map.stale

    @property
    def inputs(self) -> Tensor:
        """What paths from inputs carry, shape (F, B, *out)."""
        return self.by_input.sum(0)

    @property
    def contributions(self) -> Tensor:
        """What each family gives to the output, from inputs and biases, shape (F, B, *out)."""
        return self.inputs + self.biases

    @property
    def without(self) -> Tensor:
        """The output if a family's paths are cut and all gates are kept, shape (F, B, *out).

        Not what the network computes without a branch: its gates would change.
        """
        return self.value - self.contributions

    @property
    def scores(self) -> Tensor:
        """Contributions to the classes shown, from inputs and from biases, shape (2, F, B, K)."""
        both = torch.stack([self.inputs, self.biases]).flatten(3)
        return both.gather(3, self.classes.expand(*both.shape[:3], -1))

    @property
    def shares(self) -> Tensor:
        """Mean size of the families' scores, relative to their sum over the families, shape (F,).

        Families of opposite signs cancel: sizes add up to more than the score.
        """
        sizes = self.scores.sum(0).abs().mean((1, 2))
        return sizes / sizes.sum().clamp(min=torch.finfo(sizes.dtype).tiny)

    @functools.cached_property
    def error(self) -> float | None:
        """Largest |sum of families - f(x)| relative to the largest |f(x)|; None if they are not complete."""
        if not self.complete:
            return None
        gap = (self.contributions.sum(0) - self.value).abs().max()
        return float(gap / self.value.abs().max().clamp(min=torch.finfo(gap.dtype).tiny))

    def templates(self, classes: Sequence[int] | Tensor | None = None) -> Any:
        """Return the families' parts of rows of A[x], shape (F, B, K, *in); a tuple if there are several inputs.

        Parameters
        ----------
        classes : sequence of K int, or Tensor of shape (B, K), optional
            Flat indices into the output. Default: the classes shown.

        Notes
        -----
        An adjoint pass for each class and family, less where the last nodes are in few. They add up to the rows
        of A[x] where the families are complete.
        """
        chosen = self.classes if classes is None else class_indices(self.value, classes)
        seeds = torch.zeros(chosen.shape[1], *self.value.shape, dtype=self.value.dtype, device=self.value.device)
        seeds.flatten(2).scatter_(2, chosen.T[..., None], 1.0)
        with torch.no_grad():
            columns = zip(*(view.rows(self._map, seeds) for view in self._views), strict=True)
            found = tuple(torch.cat(column).transpose(1, 2) for column in columns)
        return found[0] if len(found) == 1 else found

    @functools.cached_property
    def norms(self) -> Tensor:
        """Euclidean norm of the families' templates of the classes shown, shape (F, B, K)."""
        found = self.templates()
        parts = found if isinstance(found, tuple) else (found,)
        return torch.stack([part.flatten(3).square().sum(3) for part in parts]).sum(0).sqrt()

    def along(self, *names: str) -> Tensor:
        """Return what the paths through exactly these branches give to the output, shape (B, *out).

        In a row of blocks that is one path: the product of the chosen branches and of the other blocks' skips.
        """
        known = {branch.name for branch in self.branches}
        if unknown := [name for name in names if name not in known]:
            raise SplineGraphError(
                f"there is no branch {unknown[0]!r}", remedy=f"choose of {', '.join(sorted(known)) or 'none'}"
            )
        with torch.no_grad():
            given: Tensor = exactly(self.branches, names).contributions(self._map).sum((0, 1))
        return given

    def subsets(self) -> Iterator[tuple[tuple[str, ...], Tensor]]:
        """Yield all subsets of the branches, short ones first, each with `along` of it: 2^L of them, one at a time."""
        names = [branch.name for branch in self.branches]
        for size in range(len(names) + 1):
            for chosen in itertools.combinations(names, size):
                yield chosen, self.along(*chosen)

    def of_sample(self, sample: int) -> tuple[list[float], list[float]]:
        """Return what the families give to the first class shown of a sample, from inputs and from biases.

        Raises
        ------
        ShapeError
            If there is no such sample.
        """
        count = len(self.value)
        if not -count <= sample < count:
            raise ShapeError(f"there is no sample {sample}", remedy=f"choose from 0 to {count - 1}")
        given, biased = self.scores[:, :, sample, 0].tolist()
        return given, biased

    def table(self, sample: int = 0) -> str:
        """Return a line per family: its paths, and what it gives to the first class shown of a sample."""
        given, biased = self.of_sample(sample)
        lines = [("family", "paths", "from inputs", "from biases", "together")]
        for name, count, a, b in zip(self.names, self.counts, given, biased, strict=True):
            lines.append((name, "" if count is None else f"{count}", f"{a:.4g}", f"{b:.4g}", f"{a + b:.4g}"))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(
                cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join(text)

    def plot(self, ax: Axes | None = None, *, sample: int = 0) -> Axes:
        """Draw each family's contribution to the first class shown; see `figures.plot_paths`."""
        from splinegraph.analyses.paths.figures import plot_paths

        return plot_paths(self, ax, sample=sample)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary, with the numbers of the first five samples."""
        few = self.scores[:, :, :LISTED]
        families = zip(self.names, self.counts, self.shares.tolist(), *few.tolist(), strict=True)
        return {
            "graph": self.graph.name,
            "by": self.by,
            "kind": self.kind,
            "samples": len(self.value),
            "complete": self.complete,
            "error": self.error,
            "classes": self.classes[:LISTED].tolist(),
            "families": [
                {"name": name, "paths": count, "share": share, "inputs": given, "biases": biased}
                for name, count, share, given, biased in families
            ],
            "branches": [branch.name for branch in self.branches],
            "provenance": self.provenance.to_dict(),
        }


def exactly(branches: Sequence[Branch], names: Sequence[str]) -> View:
    """Return the family of the paths through exactly these branches: the others are cut, and these are counted."""
    wanted = set(names)
    return View(Lengths(branches, only=wanted), len(wanted) + 1, (len(wanted),))


def class_indices(value: Tensor, classes: Sequence[int] | Tensor | None) -> Tensor:
    """Return flat indices into each sample's output, shape (B, K); None stands for the largest output."""
    flat = value.flatten(1)
    if classes is None:
        return flat.argmax(1, keepdim=True)
    index = torch.as_tensor(classes, device=value.device)
    whole = not (index.dtype.is_floating_point or index.dtype.is_complex or index.dtype == torch.bool)
    if not whole or index.dim() not in (1, 2) or (index.dim() == 2 and len(index) != len(value)):
        raise ShapeError(
            f"classes of shape {tuple(index.shape)} and type {index.dtype}",
            remedy=f"give integers of shape (K,) or ({len(value)}, K)",
        )
    size = flat.shape[1]
    if not index.numel() or bool((index < -size).any()) or bool((index >= size).any()):
        raise ShapeError("class out of range, or none", remedy=f"choose from 0 to {size - 1}")
    return (index % size).expand(len(value), index.shape[-1])
