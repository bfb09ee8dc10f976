"""Where the units of a node switch on faces, seen from the faces' corners."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from splinegraph.analyses.regions.mesh_torch.net import Corners, Cut, Net, Rows, spread
from splinegraph.core.switching import Breaks, Contest

__all__ = ["BreaksRule", "ContestRule", "Rule", "entries"]

SMALLEST = 1e-290
"""Tolerance of a unit that is zero everywhere."""


def entries(device: torch.device) -> int:
    """Return how many values to look at in one step."""
    return 2**22 if device.type == "cpu" else 2**26


class Rule(abc.ABC):
    """The units of one node, over values that are affine on each face: one row per vertex.

    A request is a face's unit that switches on the face, together with how to cut there: the line where
    `condition` is zero.

    Parameters
    ----------
    values : Tensor of shape (V, entries)
        What the units look at; the rule owns it.
    """

    def __init__(self, values: Tensor) -> None:
        self.values = Rows(values)

    @abc.abstractmethod
    def start(self, net: Net) -> tuple[Tensor, Tensor]:
        """Return faces and units that may switch, as pairs sorted by face."""

    @abc.abstractmethod
    def switching(self, net: Net, corners: Corners, faces: Tensor, number: Tensor, unit: Tensor) -> Tensor:
        """Return which units switch on the face number `number` of `faces`, whose corners are given."""

    @abc.abstractmethod
    def request(self, net: Net, corners: Corners, faces: Tensor, unit: Tensor) -> None:
        """Choose for one unit of each of `faces` where to cut; remembered until the next call."""

    @abc.abstractmethod
    def condition(self, vertex: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value at vertices of what request number `number` asks for, and its sign (0 on the line)."""

    @abc.abstractmethod
    def codes(self, net: Net) -> Tensor:
        """Return the codes of all faces once none of their units switches, shape (F, units)."""

    def extend(self, cut: Cut, number: Tensor) -> None:
        """Work out the values at new vertices, which are zeros of the conditions of the requests `number`."""
        self.values.append(cut.interpolate(self.values.all))

    def halve(self, parents: Tensor) -> None:  # noqa: B027 (most have nothing to do)
        """Take note that new faces were cut off from `parents`."""


class BreaksRule(Rule):
    """Units that compare one value with breakpoints.

    A face's code is how many breakpoints its largest corner value exceeds; the unit switches on the face if its
    smallest value falls short of one of them.
    """

    def __init__(self, switching: Breaks, values: Tensor, tolerance: float) -> None:
        super().__init__(values)
        breaks = switching.breakpoints.to(values)
        self.breaks, self.first = breaks, switching.first
        largest = values.abs().amax(0).clamp(min=float(breaks.abs().max()) if len(breaks) else 0.0)
        self.tol = (tolerance * largest).clamp(min=SMALLEST)

    def _past(self, value: Tensor, tol: Tensor) -> tuple[Tensor, Tensor]:
        """Return how many breakpoints a value exceeds, and how many it does not fall short of."""
        over, reached = (torch.zeros(value.shape, dtype=torch.int16, device=value.device) for _ in range(2))
        for b in self.breaks:
            over += value > b + tol
            reached += value >= b - tol
        return over, reached

    def start(self, net: Net) -> tuple[Tensor, Tensor]:
        found = [(over > reached).nonzero() + shift for over, reached, shift in self._extremes(net)]
        pairs = torch.cat(found) if found else torch.zeros(0, 2, dtype=torch.int64, device=net.device)
        pairs = pairs[pairs[:, 0].argsort(stable=True)]
        return pairs[:, 0], pairs[:, 1]

    def _extremes(self, net: Net) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield, for some units at a time, the most breakpoints exceeded and the fewest reached, per face.

        The last of the three are the numbers of the first face and unit.
        """
        faces = torch.arange(net.faces, device=net.device)
        corners = net.corners(faces)
        length, order = corners.length.sort(descending=True)
        offset, vertex = corners.offset[order], net.origin.all[corners.side]
        most = net.faces - torch.bincount(length).cumsum(0)  # how many faces have more than r corners
        counts = most.tolist()
        units = self.values.all.shape[1]
        step = max(1, 4 * entries(net.device) // max(len(self.values), 1))
        for begin in range(0, units, step):
            part = slice(begin, begin + step)
            over, reached = self._past(self.values.all[:, part], self.tol[part])
            over, reached = (t.to(torch.int8 if len(self.breaks) < 127 else torch.int16) for t in (over, reached))
            first = vertex[offset]
            top, low = over[first], reached[first]
            for r, count in enumerate(counts[1:], start=1):
                if not count:
                    break
                corner = vertex[offset[:count] + r]
                torch.maximum(top[:count], over[corner], out=top[:count])
                torch.minimum(low[:count], reached[corner], out=low[:count])
            back = order.argsort()
            yield top[back], low[back], torch.tensor([0, begin], device=net.device)

    def _range(self, net: Net, corners: Corners, number: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
        """Return the smallest and the largest corner value of a unit on a face."""
        run, place = spread(corners.length[number])
        vertex = net.origin.all[corners.side[corners.offset[number][run] + place]]
        value = self.values.all[vertex, unit[run]]
        low = torch.full((len(number),), math.inf, dtype=value.dtype, device=value.device)
        return low.scatter_reduce(0, run, value, "amin"), (-low).scatter_reduce(0, run, value, "amax")

    def switching(self, net: Net, corners: Corners, faces: Tensor, number: Tensor, unit: Tensor) -> Tensor:
        low, high = self._range(net, corners, number, unit)
        tol = self.tol[unit]
        return self._past(high, tol)[0] > self._past(low, tol)[1]

    def request(self, net: Net, corners: Corners, faces: Tensor, unit: Tensor) -> None:
        low, high = self._range(net, corners, torch.arange(len(faces), device=net.device), unit)
        tol = self.tol[unit]
        reached, over = self._past(low, tol)[1].long(), self._past(high, tol)[0].long()
        self._unit, self._break = unit, self.breaks[(reached + over - 1) // 2]  # the middle one of those between

    def condition(self, vertex: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        unit = self._unit[number]
        value = self.values.all[vertex, unit] - self._break[number]
        return value, torch.where(value.abs() <= self.tol[unit], 0.0, value.sign()).to(torch.int8)

    def extend(self, cut: Cut, number: Tensor) -> None:
        super().extend(cut, number)
        made = cut.first + torch.arange(len(number), device=number.device)
        self.values.all[made, self._unit[number]] = self._break[number]

    def codes(self, net: Net) -> Tensor:
        return torch.cat([over.to(torch.int32) for over, _, _ in self._extremes(net)], 1) + self.first


class ContestRule(Rule):
    """Units that choose the largest of some values; ranked units, one rank after the other.

    A unit is settled on a face if one of its members is largest at every corner. If none is, let a be the member
    that is largest at most of the corners, and b one that is at a corner where a is not: there is a corner where a
    is largest and b is not (else b would be at more corners than a), so that a = b cuts the face.
    """

    def __init__(self, switching: Contest, sizes: Sequence[int], values: Tensor, tolerance: float) -> None:
        super().__init__(values if switching.largest else -values)
        device, member = values.device, switching.columns(sizes)
        self.member, self.after = member.to(device), switching.after.to(device)
        largest = torch.cat([values.abs().amax(0), values.new_zeros(1)])[self.member].amax(1)
        self.tol = (tolerance * largest).clamp(min=SMALLEST)
        rank = switching.ranks
        self.ranks = [(rank == r).nonzero()[:, 0] for r in range(int(rank.max()) + 1 if len(rank) else 1)]
        self.units = torch.arange(len(member), device=device)[self.ranks[0].to(device)]
        self.place = Rows(torch.full((1, len(member)), -1, dtype=torch.int32, device=device))

    def begin(self, net: Net, rank: int) -> None:
        """Go on to the units of a rank; those ahead of them are settled."""
        if rank:
            self.place.all[:, self.units] = self._settled(net)
        else:
            self.place = Rows(self.place.all.expand(net.faces, -1).clone())
        self.units = self.ranks[rank].to(net.device)

    def _wins(self, net: Net, vertex: Tensor, face: Tensor, unit: Tensor) -> Tensor:
        """Return which members are largest at a vertex, of those that take part on the face: shape (n, width)."""
        member = self.member[unit]
        value = self.values.all[vertex[:, None], member.clamp(min=0)]
        value = value.masked_fill(member < 0, -math.inf)
        ahead = self.after[unit]
        while bool((ahead >= 0).any()):
            out = self.place.all[face, ahead.clamp(min=0)].long()[:, None]
            value = value.scatter(1, out, torch.where(ahead[:, None] >= 0, -math.inf, value.gather(1, out)))
            ahead = torch.where(ahead >= 0, self.after[ahead.clamp(min=0)], ahead)
        return value >= value.amax(1, keepdim=True) - self.tol[unit][:, None]

    def _counts(self, net: Net, corners: Corners, faces: Tensor, number: Tensor, unit: Tensor) -> Tensor:
        """Return at how many corners each member is largest, shape (n, width)."""
        width = self.member.shape[1]
        parts = []
        step = max(1, entries(net.device) // (8 * width))
        for begin in range(0, len(number), step):
            some, mine = number[begin : begin + step], unit[begin : begin + step]
            run, place = spread(corners.length[some])
            vertex = net.origin.all[corners.side[corners.offset[some][run] + place]]
            wins = self._wins(net, vertex, faces[some][run], mine[run])
            count = torch.zeros(len(some), width, dtype=torch.int32, device=net.device)
            parts.append(count.index_add_(0, run, wins.to(torch.int32)))
        return torch.cat(parts) if parts else torch.zeros(0, width, dtype=torch.int32, device=net.device)

    def _all_counts(self, net: Net) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield, for some faces at a time, faces, units, counts, and how many corners the faces have."""
        units = len(self.units)
        step = max(1, entries(net.device) // max(8 * self.member.shape[1] * units, 1))
        for begin in range(0, net.faces, step):
            faces = torch.arange(begin, min(begin + step, net.faces), device=net.device)
            corners = net.corners(faces)
            number, unit = (
                torch.arange(len(faces), device=net.device).repeat_interleave(units),
                self.units.repeat(len(faces)),
            )
            counts = self._counts(net, corners, faces, number, unit)
            yield faces[number], unit, counts, corners.length[number]

    def start(self, net: Net) -> tuple[Tensor, Tensor]:
        found = [torch.zeros(2, 0, dtype=torch.int64, device=net.device)]
        for face, unit, counts, length in self._all_counts(net):
            found.append(torch.stack([face, unit])[:, counts.amax(1) < length])
        pairs = torch.cat(found, 1)
        return pairs[0], pairs[1]

    def switching(self, net: Net, corners: Corners, faces: Tensor, number: Tensor, unit: Tensor) -> Tensor:
        return self._counts(net, corners, faces, number, unit).amax(1) < corners.length[number]

    def request(self, net: Net, corners: Corners, faces: Tensor, unit: Tensor) -> None:
        number = torch.arange(len(faces), device=net.device)
        a = self._counts(net, corners, faces, number, unit).argmax(1)
        owner, vertex = corners.owner, net.origin.all[corners.side]
        wins = self._wins(net, vertex, faces[owner], unit[owner])
        other = wins.to(torch.int8).argmax(1)
        without = ~wins.gather(1, a[owner][:, None])[:, 0]
        b = torch.zeros_like(a).scatter_reduce(0, owner, torch.where(without, other, 0), "amax")
        self._a, self._b = self.member[unit, a], self.member[unit, b]
        self._slack = self.tol[unit]

    def condition(self, vertex: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        value = self.values.all[vertex, self._a[number]] - self.values.all[vertex, self._b[number]]
        return value, torch.where(value.abs() <= self._slack[number], 0.0, value.sign()).to(torch.int8)

    def halve(self, parents: Tensor) -> None:
        self.place.append(self.place.all[parents])

    def _settled(self, net: Net) -> Tensor:
        """Return the places of the winners among the units of this rank; the lowest of equal ones."""
        found = torch.cat([counts.argmax(1) for _, _, counts, _ in self._all_counts(net)])
        return found.to(torch.int32).reshape(net.faces, -1)

    def codes(self, net: Net) -> Tensor:
        self.place.all[:, self.units] = self._settled(net)
        return self.place.all
