"""What proves an upper bound: kept with it, written to a file, and checked anew from the network itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.bound import norm_name
from splinegraph.analyses.lipschitz.checking import CHECKS
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.provenance import weight_hash
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card

__all__ = ["Certificate", "CertificateKind", "load_certificate"]

CertificateKind = Literal["product", "semidefinite", "jacobian", "tree", "regions"]
"""product: constants of operators. semidefinite: multipliers `T` of the matrix inequality. jacobian: bounds of the
entries of all local maps. tree: branches over the sides of units, each with a proof. regions: all cells."""


@dataclass(frozen=True, eq=False, repr=False)
class Certificate:
    """An upper bound of a Lipschitz constant, and what it follows from.

    Parameters
    ----------
    graph : SplineGraph
    domain : Domain
    norm : {1, 2, inf}
        Of inputs and of outputs.
    upper : float
        What is claimed.
    kind : {'product', 'semidefinite', 'jacobian', 'tree', 'regions'}
        How it is proved.
    arrays : mapping from str to array
        What the proof takes besides the network; of most kinds nothing.
    """

    graph: SplineGraph
    domain: Domain
    norm: float
    upper: float
    kind: CertificateKind = "product"
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(CertificateKind):
            raise ValueError(f"kind {self.kind!r}; give one of {', '.join(get_args(CertificateKind))}")

    def verify(self) -> bool:
        """Return whether the bound holds for the network as it is now.

        Everything but `arrays` is worked out anew, in float64 with margins for rounding. False says that this
        certificate proves nothing, not that the bound is wrong.
        """
        if not self.upper >= 0:
            return False
        return self.upper == np.inf or CHECKS[self.kind](self.graph, self.domain, self.norm, self.upper, self.arrays)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the certificate to an .npz file, whole or not at all; returns the path.

        Raises
        ------
        DataError
            If it cannot be written.
        """
        from splinegraph.analyses.lipschitz.certificate_file import write_certificate

        return write_certificate(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], graph: SplineGraph) -> Certificate:
        """Read a certificate for a network; see `load_certificate`."""
        from splinegraph.analyses.lipschitz.certificate_file import read_certificate

        return cls(graph, **read_certificate(path, graph))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with the hash of the weights that it is about; sizes stand for the arrays."""
        return {
            "kind": self.kind,
            "norm": norm_name(self.norm),
            "upper": self.upper if self.upper < np.inf else None,
            "arrays": {name: list(array.shape) for name, array in self.arrays.items()},
            "weights_sha256": weight_hash(self.graph),
        }

    def __repr__(self) -> str:
        return f"<Certificate: at most {self.upper:.8g} in l{norm_name(self.norm)}, by {self.kind}>"

    def _repr_html_(self) -> str:
        return card(self)


def load_certificate(path: str | os.PathLike[str], graph: SplineGraph) -> Certificate:
    """Read the certificate of a Lipschitz bound from a file; it says nothing until `verify` is asked.

    Parameters
    ----------
    path : str or path
        Written by `Certificate.save` or ``splinegraph lipschitz --out``.
    graph : SplineGraph
        Of the same network: the same weights, bit by bit.

    Returns
    -------
    Certificate

    Raises
    ------
    DataError
        If the file cannot be read, is damaged or of another format, or belongs to other weights.
    """
    return Certificate.load(path, graph)
