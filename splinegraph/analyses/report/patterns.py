"""What a report keeps of the activation patterns: counts per unit, and a digest per sample."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.codes import ActivationPattern, Layer, codes
from splinegraph.analyses.report.study import Collector, Part, Study

__all__ = ["Patterns", "Tally", "part_codes"]

ENTRIES = 2**24
"""How many codes are unpacked at a time."""

DIGEST = 16
"""Bytes of the BLAKE2b digest of a pattern: for n samples, two patterns fall together by chance with
probability below n^2 / 2^129."""

PIECES = 16
"""Up to so many pieces all are counted; with more, first those that occur are found."""


@dataclass(frozen=True, eq=False)
class Tally:
    """How often each unit of one layer was on each piece.

    Parameters
    ----------
    layer : Layer
    pieces : tuple of int
        The codes that occur, in ascending order.
    counts : Tensor of shape (pieces, units), int64
    """

    layer: Layer
    pieces: tuple[int, ...]
    counts: Tensor

    @property
    def samples(self) -> int:
        """Number of samples."""
        return int(self.counts[:, 0].sum()) if self.counts.shape[1] else 0

    @property
    def constant(self) -> Tensor:
        """Which units were on one piece for all samples, shape (units,), bool."""
        return (self.counts == self.samples).any(0)

    @property
    def differing_pairs(self) -> int:
        """Over all units, how many unordered pairs of samples differ there."""
        return (self.counts.shape[1] * self.samples**2 - int((self.counts**2).sum())) // 2


def part_codes(study: Study, part: Part) -> ActivationPattern:
    """Return the codes of a part, worked out once for all collectors."""
    if study.last_codes is None or study.last_codes[0] is not part:
        study.last_codes = part, codes(study.graph, *part.inputs, dtype=study.dtype)
    return study.last_codes[1]


class Patterns(Collector):
    """Counts per unit and piece, and which patterns occur.

    Memory: 8 bytes per unit and piece, and 16 per sample.
    """

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self._layers: tuple[Layer, ...] = ()
        self._counts: dict[str, dict[int, Tensor]] = {}
        self._digests = bytearray()  # may run ahead of what counts, `_samples`
        self._samples = 0

    def add(self, part: Part) -> None:
        found = part_codes(self.study, part)
        for row in np.ascontiguousarray(found.packed):
            self._digests += hashlib.blake2b(row, digest_size=DIGEST).digest()
        self._counts = {layer.name: self._counted(found, layer) for layer in found.layers if layer.units}
        self._layers, self._samples = found.layers, self._samples + len(found)

    def _counted(self, found: ActivationPattern, layer: Layer) -> dict[int, Tensor]:
        counts = dict(self._counts.get(layer.name, {}))
        step = max(1, ENTRIES // layer.units)
        for start in range(0, len(found), step):
            flat = found[start : start + step].unpack(layer.name).reshape(-1, layer.units)
            few = 0 < layer.alphabet <= PIECES
            for piece in range(layer.alphabet) if few else np.unique(flat.numpy()).tolist():
                counts[piece] = counts.get(piece, 0) + (flat == piece).sum(0)
        return counts

    @property
    def units(self) -> int:
        """Number of units that switch."""
        return sum(layer.units for layer in self._layers)

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """How often each unit was on each piece, layer by layer."""
        return tuple(self._tally(layer) for layer in self._layers if layer.units)

    def _tally(self, layer: Layer) -> Tally:
        counts = self._counts[layer.name]
        pieces = tuple(piece for piece in sorted(counts) if bool(counts[piece].any()))
        return Tally(layer, pieces, torch.stack([counts[piece] for piece in pieces]))

    def distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for each distinct pattern the first sample with it, and how many have it."""
        digests: NDArray[Any] = np.frombuffer(bytes(self._digests[: self._samples * DIGEST]), dtype=f"V{DIGEST}")
        _, first, counts = np.unique(digests, return_index=True, return_counts=True)
        return first, counts
