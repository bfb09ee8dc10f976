"""Cutting all faces of a mesh where the units of one node switch, in rounds.

In a round every face on which a unit still switches is cut in two, each by a line of its own: as many rounds as the
most lines that cross one another's parts, about the logarithm of the number of lines, whatever the number of faces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from splinegraph.analyses.regions.mesh_torch.net import Corners, Net
from splinegraph.analyses.regions.mesh_torch.rules import Rule

__all__ = ["cut_all"]


def cut_all(net: Net, rule: Rule, look: Callable[[], None]) -> Tensor:
    """Cut until no unit switches on a face; return which faces of before the pass were odd (their numbers).

    `look` is called before each round and may raise.
    """
    face, unit = rule.start(net)
    odd = [torch.zeros(0, dtype=torch.int64, device=net.device)]
    while len(face):
        look()
        faces, number = torch.unique_consecutive(face, return_inverse=True)
        corners = net.corners(faces)
        some = rule.switching(net, corners, faces, number, unit)
        if not bool(some.all()):
            face, unit = face[some], unit[some]
            if not len(face):
                break
            faces, number = torch.unique_consecutive(face, return_inverse=True)
            corners = net.corners(faces)
        count = torch.bincount(number)
        chosen = count.cumsum(0) - count + count // 2
        rule.request(net, corners, faces, unit[chosen])
        new = _split(net, rule, faces, _cut_edges(net, rule, faces))
        failed = new < 0
        kept = torch.ones(len(face), dtype=torch.bool, device=net.device)
        kept[chosen[failed]] = False
        odd.append(net.root.all[faces[failed]])
        children = new[number]
        face = torch.cat([face[kept], children[kept & (children >= 0)]])
        unit = torch.cat([unit[kept], unit[kept & (children >= 0)]])
        order = face.argsort(stable=True)
        face, unit = face[order], unit[order]
    found: Tensor = torch.cat(odd).unique()
    return found


class _Sides(NamedTuple):
    """The half-edges of faces, and on which side of its face's line each begins and ends."""

    corners: Corners
    sign: Tensor
    ahead: Tensor


def _cut_edges(net: Net, rule: Rule, faces: Tensor) -> _Sides:
    """Put a vertex wherever a face's line crosses one of its edges; return the half-edges of the faces.

    The two faces of an edge may each ask for one: they take turns, the second one on what the first has left.
    """
    while True:
        corners = net.corners(faces)
        side, owner = corners.side, corners.owner
        value, sign = rule.condition(net.origin.all[side], owner)
        ahead = _ahead(net, side, sign)
        crossed = sign * ahead < 0
        asked = torch.zeros(len(net.origin), dtype=torch.bool, device=net.device)
        asked[side] = crossed
        twin = net.twin.all[side]
        crossed &= ~(asked[twin] & (twin < side))
        mine = crossed.nonzero()[:, 0]
        if not len(mine):
            return _Sides(corners, sign, ahead)
        here, there = value[mine], _ahead(net, side, value)[mine]
        rule.extend(net.cut(side[mine], here / (here - there)), owner[mine])


def _ahead(net: Net, side: Tensor, value: Tensor) -> Tensor:
    """Return for each of the half-edges of whole faces the value of the one that follows it."""
    every = value.new_empty(len(net.origin))
    every[side] = value
    return every[net.following.all[side]]


def _split(net: Net, rule: Rule, faces: Tensor, sides: _Sides) -> Tensor:
    """Cut every face along its line; return the numbers of the new faces, -1 where the line was odd."""
    (side, owner, *_), sign, ahead = sides
    behind = torch.empty(len(net.origin), dtype=torch.int64, device=net.device)
    behind[net.following.all[side]] = side
    part = _parts(net, side, sign, ahead)
    # where the half-edges below the line begin, and those above it
    low = part.new_zeros(len(faces), dtype=torch.int64)
    starts, first = [], []
    previous = part[behind[side]]
    mine = part[side]
    for below in (-1, 1):
        begins = (mine == below) & (previous == -below) & (sign == 0)
        starts.append(low.index_add(0, owner, begins.long()))
        first.append(low.index_add(0, owner, torch.where(begins, side, 0)))
    fine = (starts[0] == 1) & (starts[1] == 1)
    lows, highs = first[0][fine], first[1][fine]
    new = torch.full_like(faces, -1)
    new[fine] = net.split(lows, highs, behind[lows], behind[highs])
    above = (mine == 1) & fine[owner]
    net.face.all[side[above]] = new[owner[above]]
    rule.halve(faces[fine])
    return new


def _parts(net: Net, side: Tensor, sign: Tensor, ahead: Tensor) -> Tensor:
    """Return for each half-edge on which side of its face's line it lies: one entry per half-edge of the mesh.

    One that lies on the line goes with the one before it.
    """
    part = torch.zeros(len(net.origin), dtype=torch.int8, device=net.device)
    part[side] = torch.where(sign == 0, ahead, sign)
    open_ = side[part[side] == 0]
    while len(open_):
        before = torch.zeros_like(part)
        before[net.following.all[side]] = part[side]
        part[open_] = before[open_]
        rest = open_[part[open_] == 0]
        if len(rest) == len(open_):  # the whole face lies on the line
            break
        open_ = rest
    return part
