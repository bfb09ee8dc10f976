"""The half-edges of a mesh as tensors, cut many at a time.

Half-edge h runs along its face, counterclockwise, from vertex `origin[h]` to that of `following[h]`; `twin[h]` is its
other side. What lies outside of the domain is face -1, whose half-edges are there too: no side has to be asked for.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Corners", "Cut", "Net", "Rows", "spread"]


class Rows:
    """A tensor that grows at its end; what is asked for is doubled, so that appending costs a copy of the new rows."""

    def __init__(self, rows: Tensor) -> None:
        self._buffer, self._count = rows, len(rows)

    def __len__(self) -> int:
        return self._count

    @property
    def all(self) -> Tensor:
        """The rows, as a view: what is written to it stays."""
        return self._buffer[: self._count]

    def append(self, rows: Tensor) -> None:
        """Add rows at the end."""
        count = self._count + len(rows)
        if count > len(self._buffer):
            larger = self._buffer.new_empty((2 * count, *self._buffer.shape[1:]))
            larger[: self._count] = self.all
            self._buffer = larger
        self._buffer[self._count : count] = rows
        self._count = count


class Cut(NamedTuple):
    """Vertices made at a time: vertex first + i lies at ``share[i]`` of the way from `start[i]` to `end[i]`."""

    first: int
    start: Tensor
    end: Tensor
    share: Tensor

    def interpolate(self, rows: Tensor) -> Tensor:
        """Return the rows of the new vertices."""
        return torch.lerp(rows[self.start], rows[self.end], self.share[:, None])


class Corners(NamedTuple):
    """The half-edges of some faces: those of face number i of them are ``side[offset[i] : offset[i] + length[i]]``."""

    side: Tensor
    owner: Tensor  # for each half-edge, the number of its face among them
    offset: Tensor
    length: Tensor


class Net:
    """The mesh, at first of one face, whose corners are given counterclockwise.

    Parameters
    ----------
    corners : Tensor of shape (m, 2)
    """

    def __init__(self, corners: Tensor) -> None:
        m, device = len(corners), corners.device
        here = torch.arange(m, device=device)
        self.x = Rows(corners)
        self.origin = Rows(torch.cat([here, here.roll(-1)]))
        self.following = Rows(torch.cat([here.roll(-1), m + here.roll(1)]))
        self.twin = Rows(torch.cat([m + here, here]))
        self.face = Rows(torch.cat([torch.zeros_like(here), torch.full_like(here, -1)]))
        self.faces = 1
        self.root = Rows(here[:1])  # for each face, which one it was before the pass
        self.cuts: list[Cut] = []

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.x.all.device

    def corners(self, faces: Tensor) -> Corners:
        """Return the half-edges of distinct `faces`, those of a face next to one another but in no order."""
        number = torch.full((self.faces + 1,), -1, device=self.device)  # its last entry is that of face -1
        number[faces] = torch.arange(len(faces), device=self.device)
        mine = number[self.face.all]
        side = (mine >= 0).nonzero()[:, 0]
        owner, order = mine[side].sort()
        length = torch.bincount(owner, minlength=len(faces))
        return Corners(side[order], owner, length.cumsum(0) - length, length)

    def cut(self, sides: Tensor, share: Tensor) -> Cut:
        """Put a vertex on each of some half-edges, of different edges, and return how."""
        count, made, device = len(self.origin), len(sides), self.device
        twin = self.twin.all[sides]
        start, end = self.origin.all[sides], self.origin.all[twin]
        found = Cut(len(self.x), start, end, share)
        self.x.append(found.interpolate(self.x.all))
        vertex = found.first + torch.arange(made, device=device)
        ahead = count + torch.arange(made, device=device)  # the second part of the half-edge
        back = ahead + made  # and of its twin
        self.origin.append(vertex.repeat(2))
        both = torch.cat([sides, twin])
        self.face.append(self.face.all[both])
        self.following.append(self.following.all[both])
        self.twin.append(torch.cat([twin, sides]))
        self.following.all[both] = torch.cat([ahead, back])
        self.twin.all[both] = torch.cat([back, ahead])
        self.cuts.append(found)
        return found

    def split(self, low: Tensor, high: Tensor, behind_low: Tensor, behind_high: Tensor) -> Tensor:
        """Join two corners of each of some faces by a chord and return the numbers of the new faces.

        The face keeps the half-edges from `low` on, the new one takes those from `high` on; `behind_low` and
        `behind_high` are the half-edges that end where these begin. The labels of the old half-edges stay.
        """
        count, made, device = len(self.origin), len(low), self.device
        chord = count + torch.arange(made, device=device)  # of the old face; the next ones are those of the new face
        old, new = self.face.all[low], self.faces + torch.arange(made, device=device)
        self.origin.append(torch.cat([self.origin.all[high], self.origin.all[low]]))
        self.following.append(torch.cat([low, high]))
        self.twin.append(torch.cat([chord + made, chord]))
        self.face.append(torch.cat([old, new]))
        self.following.all[behind_high] = chord
        self.following.all[behind_low] = chord + made
        self.root.append(self.root.all[old])
        self.faces += made
        return new

    def begin(self) -> None:
        """Get ready for a pass: from now on, `root` tells of the faces that there are now."""
        self.root = Rows(torch.arange(self.faces, device=self.device))
        self.cuts = []

    def keep(self, sides: Tensor) -> None:
        """Drop all half-edges that `sides` (bool) does not mark; those kept must not refer to them."""
        renumbered = sides.cumsum(0) - 1
        self.origin, self.face = Rows(self.origin.all[sides]), Rows(self.face.all[sides])
        self.following, self.twin = (Rows(renumbered[link.all[sides]]) for link in (self.following, self.twin))

    def used(self) -> Tensor:
        """Return which vertices are corners."""
        used = torch.zeros(len(self.x), dtype=torch.bool, device=self.device)
        used[self.origin.all] = True
        return used

    def keep_vertices(self, used: Tensor) -> None:
        """Drop the vertices that are no corners any more."""
        self.x = Rows(self.x.all[used])
        self.origin = Rows((used.cumsum(0) - 1)[self.origin.all])
        self.cuts = []


def spread(length: Tensor) -> tuple[Tensor, Tensor]:
    """Return, for runs of the given lengths one behind the other, the number of the run and the place in it."""
    run = torch.repeat_interleave(length)
    first = length.cumsum(0) - length
    return run, torch.arange(len(run), device=length.device) - first[run]
