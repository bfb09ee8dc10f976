"""Joining the parts of a face that have the same code."""

from __future__ import annotations

import torch
from torch import Tensor

from splinegraph.analyses.regions.mesh_torch.net import Net

__all__ = ["merge"]


def merge(net: Net, codes: Tensor) -> Tensor:
    """Remove the edges between parts of one face of before the pass with equal codes; return the codes of the rest.

    Where three values meet in a maximum, two of them are compared also where the third is larger. The parts of a
    face with one code make up a convex set, so that what remains are its sides.
    """
    face, twin = net.face.all, net.twin.all
    other = face[twin]
    between = (face >= 0) & (other >= 0)
    between &= net.root.all[face.clamp(min=0)] == net.root.all[other.clamp(min=0)]
    sides = between.nonzero()[:, 0]
    same = torch.cat([(codes[face[s]] == codes[other[s]]).all(1) for s in sides.split(2**18)]) if len(sides) else None
    if same is None or not bool(same.any()):
        return codes
    gone = sides[same]
    removed = torch.zeros(len(face), dtype=torch.bool, device=net.device)
    removed[gone] = True
    label = _components(net.faces, face[gone], other[gone])
    following = net.following.all.clone()
    while bool((over := removed[following] & ~removed).any()):
        following[over] = following[twin[following[over]]]
    net.following.all[:] = torch.where(removed, net.following.all, following)
    kept, number = label.unique(return_inverse=True)
    net.face.all[:] = torch.where(face >= 0, number[face.clamp(min=0)], -1)
    net.root = type(net.root)(net.root.all[kept])
    net.faces = len(kept)
    net.keep(~removed)
    return codes[kept]


def _components(count: int, one: Tensor, two: Tensor) -> Tensor:
    """Return for each of `count` vertices the smallest one that edges one - two connect it with."""
    label = torch.arange(count, device=one.device)
    while True:
        low = torch.minimum(label[one], label[two])
        lower = label.scatter_reduce(0, torch.cat([one, two]), low.repeat(2), "amin")
        lower = lower[lower]
        if torch.equal(lower, label):
            return label
        label = lower
