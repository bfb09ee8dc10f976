"""The classes in the nodes of a layer: majority, purity, entropy, and what labels without a meaning would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from splinegraph.analyses.activation.tables import Floats, Ints

__all__ = ["Histogram", "permuted_purity"]

DRAWN = 2**20
"""Labels that are drawn at a time."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """How much of each class is in each node: one row for each class that occurs there, by node and class.

    Parameters
    ----------
    node : array of int64, shape (H,)
        Ascending; every node occurs.
    place : array of int64, shape (H,)
        Number of the class.
    mass : array of int64 or float64, shape (H,)
        Inputs, or volume.
    """

    node: Ints
    place: Ints
    mass: Ints | Floats

    @property
    def starts(self) -> Ints:
        """Where the rows of each node begin."""
        return np.flatnonzero(np.diff(self.node, prepend=-1))

    @property
    def totals(self) -> Ints | Floats:
        """Inputs, or volume, of each node."""
        return np.add.reduceat(self.mass, self.starts)

    @property
    def most(self) -> Ints | Floats:
        """The mass of the most common class of each node."""
        return np.maximum.reduceat(self.mass, self.starts)

    @property
    def majority(self) -> Ints:
        """The most common class of each node, the first of equals."""
        at = np.repeat(self.most, np.diff([*self.starts, len(self.node)])) == self.mass
        rows = np.flatnonzero(at)
        return np.asarray(self.place[rows[np.unique(self.node[rows], return_index=True)[1]]])

    @property
    def entropy(self) -> Floats:
        """Entropy of the classes in each node, in bits."""
        share = self.mass / np.repeat(self.totals, np.diff([*self.starts, len(self.node)]))
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(share > 0, -share * np.log2(share), 0.0)
        return np.asarray(np.add.reduceat(terms, self.starts)) + 0.0

    def of(self, first: int, last: int) -> Histogram:
        """Return the rows of the nodes from `first` on, before `last`, numbered from 0."""
        a, b = np.searchsorted(self.node, [first, last])
        return Histogram(self.node[a:b] - first, self.place[a:b], self.mass[a:b])

    @property
    def agreeing(self) -> float:
        """Share of inputs whose label is that of most *others* in their node; an input alone agrees with nobody."""
        lengths = np.diff([*self.starts, len(self.node)])
        best = np.repeat(self.most, lengths)
        lead = self.mass == best
        several = np.repeat(np.add.reduceat(lead.astype(np.int64), self.starts), lengths) > 1
        rivals = np.where(lead, np.where(several, best, self._second(lengths)), best)
        right = self.mass[self.mass - 1 > rivals].sum()
        return float(right / self.mass.sum())

    def _second(self, lengths: Ints) -> Ints | Floats:
        """Return the second largest mass in the node of each row, 0 where there is none."""
        lead = self.mass == np.repeat(self.most, lengths)
        return np.repeat(np.maximum.reduceat(np.where(lead, 0, self.mass), self.starts), lengths)


def permuted_purity(counts: Ints, classes: Ints, rounds: int, seed: int) -> Floats:
    """Return the purity of nodes of these counts whose labels are permuted, shape (rounds,).

    Parameters
    ----------
    counts : array of int64
        Inputs of each node.
    classes : array of int64
        Inputs of each class; the same sum.

    Notes
    -----
    An input that is alone in its node is the majority there whatever its label: only the others are drawn. The
    labels of the nodes before are never held, so that memory does not grow with the number of inputs.
    """
    rng = np.random.default_rng(seed)
    shared = counts[counts > 1]
    alone = int(counts.sum() - shared.sum())
    ends = np.cumsum(shared)
    found = np.empty(rounds)
    for place in range(rounds):
        left, right, start = classes.copy(), alone, 0
        while start < len(shared):
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + DRAWN, side="right")))
            part = shared[start:stop]
            drawn = rng.multivariate_hypergeometric(left, int(part.sum()), method="marginals")
            left = left - drawn
            right += _majorities(part, drawn, rng)
            start = stop
        found[place] = right / counts.sum()
    return found


def _majorities(counts: Ints, classes: Ints, rng: np.random.Generator) -> int:
    """Return how many labels are the majority of their node after one permutation of them."""
    if len(counts) == 1:
        return int(classes.max())
    labels = np.repeat(np.arange(len(classes)), classes)
    rng.shuffle(labels)
    node = np.repeat(np.arange(len(counts)), counts)
    rows, mass = np.unique(node * len(classes) + labels, return_counts=True)
    return int(Histogram(rows // len(classes), rows % len(classes), mass).most.sum())
