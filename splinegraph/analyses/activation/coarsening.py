"""Coarser codes, for layers so wide that hardly two inputs share a cell."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.activation.keys import Keys, row_keys
from splinegraph.analyses.activation.medoids import medoids, nearest
from splinegraph.analyses.codes import ActivationPattern, Layer
from splinegraph.analyses.packing import Bytes, pack
from splinegraph.errors import DataError, SplineGraphError

__all__ = ["NAMES", "SAMPLE", "Coarsening", "Rule", "coarsening", "layer_keys"]

NAMES = ("channel-any", "channel-majority", "position-any", "position-majority", "top-K", "informative-K", "clusters-K")
"""How codes can be made coarser; K is a number."""

SAMPLE = 1024
"""Samples that units and clusters are chosen on."""

COMPARED = 2**32
"""Bytes that are compared in a round of choosing clusters; wide layers choose among fewer samples."""

ENTRIES = 2**24
"""Codes that are unpacked at a time."""

Rule = Callable[[Bytes], Keys]
"""From the packed codes of one layer (B, bytes) to keys (B, 2)."""


@dataclass(frozen=True, eq=False)
class Coarsening:
    """How the codes of each layer are made coarser; made by `coarsening`.

    Parameters
    ----------
    name : str
    rules : dict from name of a layer to rule
        Layers that are not among them keep their cells.
    fitted : int
        On how many samples units or clusters were chosen; 0 if none were needed.
    """

    name: str
    rules: dict[str, Rule]
    fitted: int = 0

    @property
    def labelled(self) -> bool:
        """Whether labels chose the units: how well nodes then know of the labels is flattered."""
        return self.name.startswith("informative-")

    @property
    def note(self) -> str:
        """What a reader has to know."""
        fitted = f", chosen on {self.fitted} samples" * bool(self.fitted)
        fitted += " by their labels: purity is flattered" * self.labelled
        return (
            f"nodes of {len(self.rules)} layers are unions of cells ({self.name}{fitted}), no cells: the network is not"
            " affine on them, and inputs that share one may differ in their pieces"
        )


def layer_keys(found: ActivationPattern, coarse: Coarsening | None) -> tuple[Keys, ...]:
    """Return the keys of a batch, (B, 2) for each layer."""
    rules = {} if coarse is None else coarse.rules
    return tuple(
        rules.get(layer.name, row_keys)(np.ascontiguousarray(found.packed[:, layer.start : layer.stop]))
        for layer in found.layers
    )


def needs_sample(name: str) -> bool:
    """Whether a coarsening chooses units or clusters by looking at samples."""
    return name.startswith(("top-", "informative-", "clusters-"))


def coarsening(name: str, found: ActivationPattern, labels: Tensor | None, *, seed: int) -> Coarsening:
    """Return a coarsening by name.

    Parameters
    ----------
    name : str
        'channel-any', 'channel-majority': one code per channel (axis 0 of the units), its highest or its most
        common piece over the positions; for a ReLU whether any, or more than half, of them are active.
        'position-any', 'position-majority': the same per position over the channels. 'top-16': the 16 units whose
        codes have the highest entropy. 'informative-16': those with the highest mutual information with the label.
        'clusters-16': the nearest of 16 medoids by Hamming distance. Layers of one axis have no positions, and
        those with no more units, or possible codes, than K need no choice: they keep their cells.
    found : ActivationPattern
        Of the samples to choose on; of any sample for a coarsening that chooses nothing.
    labels : Tensor of shape (B,), or None
    seed : int

    Raises
    ------
    SplineGraphError
        If there is none of that name.
    DataError
        If it needs labels and there are none.
    """
    kind, number = _parsed(name)
    if kind == "informative" and labels is None:
        raise DataError(f"the coarsening {name!r} needs labels", remedy=f"give labels or choose 'top-{number}'")
    rules: dict[str, Rule] = {}
    for layer in found.layers:
        if kind in ("top", "informative"):
            rule = _units(found, layer, number, labels if kind == "informative" else None)
        elif kind == "clusters":
            rule = _clusters(found, layer, number, seed)
        else:
            rule = _pooled(layer, kind == "channel", name.endswith("any"))
        if rule is not None:
            rules[layer.name] = rule
    return Coarsening(name, rules, len(found) if number else 0)


def _parsed(name: str) -> tuple[str, int]:
    if name in NAMES[:4]:
        return name.partition("-")[0], 0
    match = re.fullmatch(r"(top|informative|clusters)-([1-9][0-9]{0,5})", name)
    if match is None:
        remedy = f"choose of {', '.join(NAMES)}, with a number for K"
        raise SplineGraphError(f"there is no coarsening {name!r}", remedy=remedy)
    return match[1], int(match[2])


def _codes(packed: Bytes, layer: Layer) -> Tensor:
    """Return the codes of some rows of one layer, shape (B, units)."""
    alone = Layer(layer.name, layer.shape, layer.alphabet, layer.bits, 0, packed.shape[1], layer.dtype)
    return ActivationPattern((alone,), packed).unpack(layer.name).reshape(len(packed), -1)


def _packed_keys(codes: Tensor, layer: Layer) -> Keys:
    return row_keys(pack(codes.contiguous(), layer.bits))


# one code for several units


def _pooled(layer: Layer, channels: bool, highest: bool) -> Rule | None:
    if len(layer.shape) < 2 or math.prod(layer.shape[1:] if channels else layer.shape[:1]) == 1:
        return None
    step = max(1, ENTRIES // layer.units)

    def rule(packed: Bytes) -> Keys:
        parts = []
        for start in range(0, len(packed), step):
            codes = _codes(packed[start : start + step], layer)
            groups = codes.reshape(len(codes), layer.shape[0], -1)
            groups = groups if channels else groups.transpose(1, 2)
            parts.append(groups.amax(-1) if highest else _most_common(groups, layer))
        return _packed_keys(torch.cat(parts), layer)

    return rule


def _most_common(codes: Tensor, layer: Layer) -> Tensor:
    """Return the most common code along the last axis, the lowest of equals."""
    if not layer.alphabet:
        return codes.mode(-1).values
    best, most = torch.zeros_like(codes[..., 0]), torch.full(codes.shape[:-1], -1)
    for piece in range(layer.alphabet):
        count = (codes == piece).sum(-1)
        better = count > most
        best[better], most[better] = piece, count[better]
    return best


# some units in place of all


def _units(found: ActivationPattern, layer: Layer, number: int, labels: Tensor | None) -> Rule | None:
    if layer.units <= number:
        return None
    codes = _codes(found.packed[:, layer.start : layer.stop], layer)
    if labels is None:
        score = _entropy(codes)
    else:
        shares = [(int((labels == c).sum()) / len(labels), codes[labels == c]) for c in labels.unique()]
        score = _entropy(codes) - sum(share * _entropy(part) for share, part in shares)
    chosen = np.sort(np.argsort(-score, kind="stable")[:number])
    step = max(1, ENTRIES // layer.units)

    def rule(packed: Bytes) -> Keys:
        parts = [_codes(packed[i : i + step], layer)[:, chosen] for i in range(0, len(packed), step)]
        return _packed_keys(torch.cat(parts), layer)

    return rule


def _entropy(codes: Tensor) -> NDArray[np.float64]:
    """Return the entropy of each unit's code in bits, rounded so that equal shares are equal, shape (units,)."""
    total = torch.zeros(codes.shape[1], dtype=torch.float64)
    for piece in codes.unique():
        share = (codes == piece).to(torch.float64).mean(0)
        total -= torch.special.xlogy(share, share) / math.log(2)
    return np.asarray(total.numpy().round(12))


# clusters


def _clusters(found: ActivationPattern, layer: Layer, number: int, seed: int) -> Rule | None:
    if layer.alphabet and layer.units * math.log2(layer.alphabet) <= math.log2(number):
        return None
    rows = np.unique(np.ascontiguousarray(found.packed[:, layer.start : layer.stop]), axis=0)
    rows = rows[:: math.ceil(len(rows) / max(2 * number, math.isqrt(COMPARED // rows.shape[1])))]
    centers = rows[medoids(rows, layer.units, layer.bits, min(number, len(rows)), seed)]

    def rule(packed: Bytes) -> Keys:
        keys = np.zeros((len(packed), 2), dtype=np.uint64)
        keys[:, 0] = nearest(packed, centers, layer.units, layer.bits)[0]
        return keys

    return rule
