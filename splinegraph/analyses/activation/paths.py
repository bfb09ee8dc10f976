"""What the path of single inputs through the activation graph says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.activation.coarsening import layer_keys
from splinegraph.analyses.activation.keys import Keys
from splinegraph.analyses.activation.tables import Floats, Ints
from splinegraph.analyses.codes import codes

if TYPE_CHECKING:
    from splinegraph.analyses.activation.result import ActivationGraph

__all__ = ["InputPath", "Similarity", "describe", "keys_of", "paths", "similarity", "surprise"]


def keys_of(ag: ActivationGraph, inputs: Any) -> tuple[Keys, ...]:
    """Return the keys of inputs, (B, 2) for each layer, decided in the arithmetic of the graph."""
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    found = codes(ag.graph, *given, dtype=getattr(torch, ag.provenance.dtype))
    return layer_keys(found, ag.coarse)


def paths(ag: ActivationGraph, inputs: Any) -> Ints:
    """Return the node of each layer, -1 where there is none, shape (B, L)."""
    return _nodes(ag, keys_of(ag, inputs))


def _nodes(ag: ActivationGraph, keys: tuple[Keys, ...]) -> Ints:
    found = [table.find(layer) for table, layer in zip(ag.tables, keys, strict=True)]
    return np.stack([np.where(ids < 0, -1, ids + ag.start[i]) for i, ids in enumerate(found)], axis=1)


def surprise(ag: ActivationGraph, visited: Ints) -> Floats:
    """Return -log2 of the share of inputs (of the volume) in each node, shape (B, L).

    A node that nobody visited counts as one that half an input (half of the smallest volume) visits.
    """
    weights = ag.weights
    positive = weights[weights > 0]
    least = float(positive.min()) / 2 if ag.volumes is not None and len(positive) else 0.5
    known = np.maximum(weights[np.maximum(visited, 0)], least)
    total = float(weights[ag.nodes(0)].sum())
    return np.asarray(np.log2(max(total, least)) - np.log2(np.where(visited < 0, least, known))) + 0.0


@dataclass(frozen=True, eq=False)
class InputPath:
    """The nodes of one input, layer by layer.

    Parameters
    ----------
    nodes : array of int64, shape (L,)
        -1 where no input was before.
    shares : array of float64, shape (L,)
        Share of the inputs (of the volume) in each node; 0 for a new cell.
    rarity : array of float64, shape (L,)
        -log2 of that share, in bits; a new cell counts as half an input.
    classes : tuple of dict
        How much of each class is in each node.
    """

    nodes: Ints
    shares: Floats
    rarity: Floats
    classes: tuple[dict[str, int | float], ...]

    @property
    def known(self) -> int:
        """How many of the nodes were visited before."""
        return int((self.nodes >= 0).sum())

    def __repr__(self) -> str:
        return (
            f"<InputPath: {self.known} of {len(self.nodes)} cells were visited before, "
            f"{self.rarity.mean():.3g} bits rare on average>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "nodes": self.nodes.tolist(), "shares": self.shares.tolist(), "rarity": self.rarity.tolist(),
            "classes": [dict(found) for found in self.classes],
        }  # fmt: skip


def describe(ag: ActivationGraph, inputs: Any) -> tuple[InputPath, ...]:
    """Return what the nodes on each path say."""
    visited = paths(ag, inputs)
    total = float(ag.weights[ag.nodes(0)].sum()) or 1.0
    shares = np.where(visited < 0, 0.0, ag.weights[np.maximum(visited, 0)] / total)
    rarity = surprise(ag, visited)
    return tuple(
        InputPath(nodes, share, rare, tuple(ag.class_counts(int(n)) if n >= 0 else {} for n in nodes))
        for nodes, share, rare in zip(visited, shares, rarity, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Similarity:
    """Which nodes inputs share.

    Parameters
    ----------
    values : array of float64, shape (B, B')
        0 if nothing is shared, 1 for the same path: the surprise of the shared nodes over that of all nodes of
        both. A cell that everybody visits says nothing and counts for nothing.
    shared : array of bool, shape (B, B', L)
    layers : tuple of str
    """

    values: Floats
    shared: NDArray[np.bool_]
    layers: tuple[str, ...]

    def __repr__(self) -> str:
        share = self.shared.mean((0, 1)) if self.shared.size else np.zeros(len(self.layers))
        found = ", ".join(f"{name} {100 * s:.3g} %" for name, s in zip(self.layers, share, strict=True))
        return f"<Similarity: {self.values.shape[0]} x {self.values.shape[1]} inputs, pairs sharing a node: {found}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the values and the share of pairs with a common node, layer by layer."""
        share = self.shared.mean((0, 1)).tolist()
        return {"values": self.values.tolist(), "shared": dict(zip(self.layers, share, strict=True))}


def similarity(ag: ActivationGraph, first: Any, second: Any) -> Similarity:
    """Return the weighted share of common nodes (Jaccard) of all pairs."""
    left, right = keys_of(ag, first), keys_of(ag, second)
    shared = np.stack([(a[:, None] == b[None]).all(-1) for a, b in zip(left, right, strict=True)], axis=-1)
    one, other = (surprise(ag, _nodes(ag, keys)) for keys in (left, right))
    common = (shared * one[:, None]).sum(-1)
    union = one.sum(1)[:, None] + other.sum(1)[None] - common
    same = shared.all(-1)
    values = np.where(same, 1.0, common / np.where(union > 0, union, 1.0))
    return Similarity(values, shared, tuple(layer.name for layer in ag.layers))
