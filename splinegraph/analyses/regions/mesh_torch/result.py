"""From half-edges to the faces, edges and interior points of a result."""

from __future__ import annotations

import torch
from torch import Tensor

from splinegraph.analyses.regions.cells import Mesh
from splinegraph.analyses.regions.mesh_torch.net import Net

__all__ = ["centers", "to_mesh"]


def to_mesh(net: Net) -> Mesh:
    """Return the mesh as arrays."""
    net.keep_vertices(net.used())
    origin, following, twin, face = (rows.all for rows in (net.origin, net.following, net.twin, net.face))
    every = net.corners(torch.arange(net.faces, device=net.device))
    offsets = torch.cat([every.offset, every.length.sum()[None]])
    corners = torch.empty(len(every.side), dtype=torch.int64, device=net.device)
    length, order = every.length.sort(descending=True)
    side, place = every.side[every.offset[order]], every.offset[order]
    for r, count in enumerate((net.faces - torch.bincount(length).cumsum(0)).tolist()):
        side, place = side[:count], place[:count]
        corners[place + r] = origin[side]
        side = following[side]
    forth = (torch.arange(len(twin), device=net.device) < twin).nonzero()[:, 0]
    back = twin[forth]
    return Mesh(
        net.x.all.cpu().numpy().copy(),
        offsets.cpu().numpy(),
        corners.to(torch.int32).cpu().numpy(),
        torch.stack([origin[forth], origin[back]], 1).to(torch.int32).cpu().numpy(),
        torch.stack([face[forth], face[back]], 1).to(torch.int32).cpu().numpy(),
    )


def centers(mesh: Mesh) -> tuple[Tensor, Tensor, Tensor]:
    """Return a point inside each face, its distance to the nearest edge, and the area of the face.

    The point is the centroid, or the mean of the corners where that is further from the edges, as in a sliver whose
    centroid drowns in rounding errors.
    """
    vertices, offsets = torch.from_numpy(mesh.vertices), torch.from_numpy(mesh.offsets)
    corners = torch.from_numpy(mesh.corners).long()
    length = offsets.diff()
    owner = torch.repeat_interleave(length)
    ahead = torch.arange(1, len(corners) + 1)
    ahead[offsets[1:] - 1] = offsets[:-1]
    base = vertices[corners[offsets[:-1]]]
    here, there = (vertices[c] - base[owner] for c in (corners, corners[ahead]))
    zero = torch.zeros(len(length), 2, dtype=vertices.dtype)
    cross = here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]
    doubled = zero[:, 0].index_add(0, owner, cross)
    middle = zero.index_add(0, owner, cross[:, None] * (here + there)) / (3 * doubled[:, None])
    mean = zero.index_add(0, owner, here) / length[:, None]
    step = there - here
    size = torch.linalg.vector_norm(step, dim=1)

    def distance(point: Tensor) -> Tensor:
        """Return how far inside of its face a point is."""
        off = point[owner] - here
        inside = (step[:, 0] * off[:, 1] - step[:, 1] * off[:, 0]) / size
        inside = torch.where(size > 0, inside, torch.inf)
        return torch.full_like(doubled, torch.inf).scatter_reduce(0, owner, inside, "amin")

    middle = torch.where(middle.isfinite().all(1, keepdim=True), middle, mean)
    radii, others = distance(middle), distance(mean)
    better = others > radii
    point = torch.where(better[:, None], mean, middle) + base
    return point, torch.maximum(radii, others).clamp(min=0.0), doubled / 2
