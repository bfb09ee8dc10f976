"""Which weights, versions and settings a result belongs to."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch

from splinegraph.core.graph import SplineGraph

__all__ = ["Provenance", "Weights", "version", "weight_hash"]


def weight_hash(graph: SplineGraph) -> str:
    """Return the SHA-256 of the values, types and shapes of all tensors that the graph reads."""
    digest = hashlib.sha256()
    for tensor in graph.parameters():
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())  # numpy knows no bfloat16
    return digest.hexdigest()


class Weights:
    """The weights at the time of an analysis: their hash, and whether they changed since."""

    def __init__(self, graph: SplineGraph) -> None:
        self._graph = graph
        self._before = self._versions()

    def _versions(self) -> tuple[tuple[int, int], ...]:
        return tuple((tensor._version, tensor.data_ptr()) for tensor in self._graph.parameters())

    @property
    def stale(self) -> bool:
        """Whether a tensor was written to since."""
        return self._versions() != self._before

    @functools.cached_property
    def hash(self) -> str | None:
        """SHA-256 of the weights; None if they changed before anybody asked."""
        return None if self.stale else weight_hash(self._graph)


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where a result comes from.

    Parameters
    ----------
    version, torch_version : str
    dtype : str
        Arithmetic of the analysis.
    seed : int
    settings : mapping
        What else the result depends on.
    weights : Weights
    """

    version: str
    torch_version: str
    dtype: str
    seed: int
    settings: Mapping[str, Any]
    weights: Weights

    @classmethod
    def of(cls, graph: SplineGraph, *, dtype: torch.dtype, seed: int, **settings: Any) -> Provenance:
        """Record the present state of things."""
        name = str(dtype).removeprefix("torch.")
        return cls(version(), torch.__version__, name, seed, settings, Weights(graph))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values; computes the hash of the weights."""
        return {
            "splinegraph": self.version,
            "torch": self.torch_version,
            "dtype": self.dtype,
            "seed": self.seed,
            **self.settings,
            "weights_sha256": self.weights.hash,
            "stale": self.weights.stale,
        }


@functools.cache
def version() -> str:
    """Return the version of this package; 'unknown' if it is not installed."""
    try:
        return metadata.version("splinegraph")
    except metadata.PackageNotFoundError:  # run from a copy of the sources
        return "unknown"
