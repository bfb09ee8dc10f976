"""What a partition comes to, as plain values: what `splinegraph regions` writes to regions.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.report.values import jsonable

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["FORMAT", "MAPPED", "Summary", "summarize"]

FORMAT = "splinegraph regions 1"
"""Name and version of what `Summary.to_dict` returns; `schema.json` describes it."""

MAPPED = 100_000
"""Cells up to which all local affine maps are worked out: that costs more than the enumeration."""

QUANTILES = {"smallest": 0.0, "median": 0.5, "largest": 1.0}


@dataclass(frozen=True, eq=False)
class Summary:
    """The figures of a partition.

    Parameters
    ----------
    partition : Partition
    domain : str
        What was looked at, in words.
    interrupted : bool
    seconds : float
        Of the enumeration, earlier sessions included.
    covered : mapping or None
        Of fixed random points of the domain, how many lie in the cells found.
    classes : mapping from class to number of cells, or None
        None where the network has several outputs.
    radii : mapping from 'smallest', 'median', 'largest' to float
    norms : the same, or None
        None where there are too many cells to work out all maps for a summary.
    maximal : int or None
        Number of maximal linear regions; None where it was not worked out.
    """

    partition: Partition
    domain: str
    interrupted: bool
    seconds: float
    covered: Mapping[str, Any] | None
    classes: Mapping[int, int] | None
    radii: Mapping[str, float]
    norms: Mapping[str, float] | None
    maximal: int | None

    @property
    def rate(self) -> float | None:
        """Cells per second."""
        return self.partition.count / self.seconds if self.seconds > 0 else None

    @property
    def ok(self) -> bool:
        """Whether everything was found, and no check failed."""
        checks = self.partition.verified
        return self.partition.complete and not self.interrupted and (checks is None or checks.ok)

    @property
    def headline(self) -> str:
        """The finding in one line."""
        found = f"{self.partition.count:,} activation cells"
        if self.maximal is not None:
            found += f", {self.maximal:,} maximal linear regions"
        if self.partition.complete:
            return found
        share = None if self.covered is None else self.covered.get("fraction")
        return f"{found} so far" + ("" if share is None else f", about {100 * share:.3g} % of the domain's volume")

    def to_dict(self, *, request: Mapping[str, Any] | None = None, files: Mapping[str, str] | None = None) -> Any:
        """Return everything as plain JSON types.

        Parameters
        ----------
        request : mapping, optional
            What was asked for.
        files : mapping, optional
            What was written, by kind.
        """
        told = self.partition.to_dict()
        return {
            "format": FORMAT,
            "name": self.partition.graph.name,
            "headline": self.headline,
            "complete": self.partition.complete,
            "interrupted": self.interrupted,
            "activation_cells": self.partition.count,
            "maximal_linear_regions": self.maximal,
            "domain": {"text": self.domain, "dim": self.partition.dim, "value": told["domain"]},
            "units": told["units"],
            "operators": told["operators"],
            "method": self.partition.method,
            "seconds": self.seconds,
            "rate": self.rate,
            "tasks_left": len(self.partition.left),
            "covered": None if self.covered is None else dict(self.covered),
            "radii": jsonable(self.radii),
            "map_norms": None if self.norms is None else jsonable(self.norms),
            "classes": None if self.classes is None else {str(c): n for c, n in self.classes.items()},
            "verified": None if told["verified"] is None else jsonable(told["verified"]),
            "notes": list(self.partition.notes),
            "files": dict(files or {}),
            "request": jsonable(dict(request or {})),
            "provenance": jsonable(told["provenance"]),
        }


def summarize(
    partition: Partition,
    *,
    domain: str = "",
    interrupted: bool = False,
    seconds: float | None = None,
    covered: Mapping[str, Any] | None = None,
    merge: bool = True,
) -> Summary:
    """Work out the figures of a partition.

    Parameters
    ----------
    partition : Partition
    domain : str
        What it is of, in words.
    interrupted : bool
        Whether somebody ended the enumeration.
    seconds : float, optional
        Of the enumeration. Default: what the partition says.
    covered : mapping, optional
        See `Summary`.
    merge : bool
        Whether to count maximal linear regions: that takes the dual graph.

    Returns
    -------
    Summary
    """
    classes = None
    if len(partition.graph.outputs) == 1:
        found, counts = np.unique(partition.classes(), return_counts=True)
        classes = dict(zip(found.tolist(), counts.tolist(), strict=True))
    norms = _spread(partition.map_norms()) if partition.count <= MAPPED else None
    return Summary(
        partition, domain, interrupted, partition.seconds if seconds is None else seconds, covered, classes,
        _spread(partition.radii), norms, partition.maximal_count if merge else None,
    )  # fmt: skip


def _spread(values: NDArray[np.float64]) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    return {name: float(np.quantile(finite, q)) if len(finite) else np.nan for name, q in QUANTILES.items()}
