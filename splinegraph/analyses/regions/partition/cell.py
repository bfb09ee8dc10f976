"""One cell of a partition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from splinegraph.analyses.codes import ActivationPattern
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.facets import polytopes_of
from splinegraph.analyses.regions.partition.maps import Maps, classes_of
from splinegraph.analyses.regions.partition.volumes import volume_of
from splinegraph.core.domains.polytope import Polytope
from splinegraph.errors import DomainError

if TYPE_CHECKING:
    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["Cell"]


@dataclass(frozen=True, eq=False)
class Cell:
    """The set of inputs with one activation pattern: a convex polytope; made by `Partition.cell`.

    Parameters
    ----------
    partition : Partition
    index : int
        Its number.
    """

    partition: Partition
    index: int

    def __repr__(self) -> str:
        return f"<Cell {self.index}: D = {self.partition.dim}, radius {self.radius:.3g}>"

    @property
    def code(self) -> ActivationPattern:
        """Its activation pattern."""
        return self.partition.codes[self.index]

    @property
    def point(self) -> Floats:
        """A point inside, in the chart's coordinates, shape (D,)."""
        return np.asarray(self.partition.points[self.index])

    @property
    def radius(self) -> float:
        """Radius of a ball around the point that lies in the cell; nan if not worked out."""
        return float(self.partition.radii[self.index])

    @property
    def input(self) -> Any:
        """The point as an input of the network, one sample without batch axis; a tuple if there are several."""
        found = self.partition.inputs([self.index])
        return tuple(x[0] for x in found) if isinstance(found, tuple) else found[0]

    @property
    def affine_map(self) -> Maps:
        """f(t) = A t + b in the chart's coordinates: A (out, D), b (out,)."""
        maps = self.partition.affine_maps([self.index])
        return Maps(maps.A[0], maps.b[0])

    def inequalities(self, *, minimal: bool = False) -> tuple[Floats, Floats]:
        """Return G and h with the closed cell = {t : G t <= h}, the domain's rows among them; rows of norm one.

        `minimal` leaves out those that others imply.
        """
        polytopes = polytopes_of(self.partition, np.array([self.index]))
        if not minimal or not self.partition.dim:
            return polytopes.G, polytopes.h
        from splinegraph.analyses.regions.geometry.facets import facets

        rows = facets(polytopes, self.point[None]).row
        return polytopes.G[rows], polytopes.h[rows]

    @property
    def polytope(self) -> Polytope:
        """The closed cell in the chart's coordinates, by the inequalities that are needed; none for D = 0."""
        if not self.partition.dim:
            raise DomainError("a single point is no polytope", remedy="free a coordinate: lower < upper")
        G, h = self.inequalities(minimal=True)
        return Polytope(torch.from_numpy(G), torch.from_numpy(h))

    @property
    def vertices(self) -> Floats:
        """Its vertices in the chart's coordinates, shape (V, D); of a face of a mesh, counterclockwise."""
        if self.partition.mesh is not None:
            return self.partition.mesh.face(self.index)
        if not self.partition.dim:
            return np.zeros((1, 0))
        return np.asarray(self.polytope.vertices.numpy())

    @property
    def volume(self) -> float:
        """Its volume in the chart's coordinates."""
        if self.partition.mesh is not None or self.partition.dim <= 1:
            return float(self.partition.volumes().values[self.index])
        return volume_of(self.partition, self.index)

    @property
    def output_class(self) -> int:
        """The class at the point: the largest output; of a single one, whether it is positive."""
        self.partition._one_output("output_class")
        return int(classes_of(self.affine_map.A[None] @ self.point + self.affine_map.b)[0])

    @property
    def linear_region(self) -> int:
        """The maximal linear region that it belongs to."""
        return int(self.partition.linear_region[self.index])
