"""`splinegraph.orbit`: codes and values along the images of one input under transforms (paper Eq 131)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.separation.frobenius import Floats
from splinegraph.analyses.separation.groups import Transform
from splinegraph.analyses.separation.result import Separation
from splinegraph.analyses.separation.separation import separation
from splinegraph.analyses.separation.values import layer_values
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import DataError, ShapeError, SplineGraphError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Orbit", "OrbitLayer", "orbit"]


@dataclass(frozen=True, eq=False)
class OrbitLayer:
    """One layer along an orbit of M members, the input itself first.

    Parameters
    ----------
    name : str
    code : array of float64, shape (M,), or None
        Distance of each member's code from the input's, as a share of the largest (`SeparationLayer.relative`).
        None for the input and the output, which have no codes.
    code_diameter : float or None
        Largest of two members.
    patterns : int or None
        Distinct codes of this layer.
    value : array of float64, shape (M,)
        l2 distance of each member's value from the input's.
    value_diameter : float
        Largest of two members.
    between : float or None
        Mean of `SeparationLayer.relative` between classes of the reference.
    """

    name: str
    code: Floats | None
    code_diameter: float | None
    patterns: int | None
    value: Floats
    value_diameter: float
    between: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        found = dict(vars(self))
        return {**found, "code": None if self.code is None else self.code.tolist(), "value": self.value.tolist()}


@dataclass(frozen=True, eq=False)
class Orbit:
    """What layers do to the images of one input; made by `splinegraph.orbit`.

    Parameters
    ----------
    layers : tuple of OrbitLayer
        The input, the switching operators, the outputs.
    names : tuple of str
        Of the transforms, after 'identity'.
    provenance : Provenance
    kind : str
        'sampled': nothing is said of transforms between those given.
    """

    layers: tuple[OrbitLayer, ...]
    names: tuple[str, ...]
    provenance: Provenance
    kind: str = "sampled"

    def __repr__(self) -> str:
        collapsed = self.collapsed
        told = "codes stay apart to the end" if collapsed is None else f"one code from {collapsed} on"
        return f"<Orbit of {len(self.names)} members: {told}, sampled>"

    def _repr_html_(self) -> str:
        return card(self)

    def __getitem__(self, name: str) -> OrbitLayer:
        """Return a layer by the name of its node."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise DataError(f"there is no layer {name!r}", remedy=f"choose of {', '.join(x.name for x in self.layers)}")

    @property
    def collapsed(self) -> str | None:
        """The first switching layer from which on all members have one code, in it and in all later ones."""
        return self._from([layer.patterns == 1 for layer in self._coded])

    def near(self, fraction: float = 0.1) -> str | None:
        """Return the first layer from which on no two members' codes are further apart than a share of two classes.

        Raises
        ------
        DataError
            If the orbit was made without a reference with two classes or more.
        """
        if any(layer.between is None for layer in self._coded):
            raise DataError(
                "there is no distance between classes to compare with",
                remedy="give orbit(..., reference=splinegraph.separation(graph, X, y)) with all layers",
            )
        return self._from([layer.code_diameter <= fraction * layer.between for layer in self._coded])  # type: ignore[operator]

    @property
    def _coded(self) -> list[OrbitLayer]:
        return [layer for layer in self.layers if layer.code is not None]

    def _from(self, reached: list[bool]) -> str | None:
        first = len(reached)
        while first and reached[first - 1]:
            first -= 1
        return self._coded[first].name if first < len(reached) else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "kind": self.kind,
            "members": list(self.names),
            "collapsed": self.collapsed,
            "layers": [layer.to_dict() for layer in self.layers],
            "provenance": self.provenance.to_dict(),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the distances along the orbit, layer by layer; return the axes."""
        from splinegraph.analyses.separation.figures import plot_orbit

        return plot_orbit(self, ax)


def orbit(
    graph: SplineGraph,
    x: Tensor,
    transforms: Mapping[str, Transform] | Sequence[Transform],
    *,
    reference: Separation | None = None,
    dtype: torch.dtype | None = torch.float64,
) -> Orbit:
    """Return how far the images of an input under transforms lie apart in each layer, in code and in value.

    Parameters
    ----------
    graph : SplineGraph
        Of one input.
    x : Tensor of shape (*in) or (1, *in)
    transforms : mapping from name to callable, or sequence of callables
        Each takes and returns a Tensor of shape (1, *in): `rotations`, `translations`, or any other. The identity
        need not be among them.
    reference : Separation, optional
        Of the same graph with classes: what to compare distances with.
    dtype : torch.dtype or None, default torch.float64
        Arithmetic that decides codes and values.

    Returns
    -------
    Orbit
        On the transforms given: it says nothing of those between them.

    Raises
    ------
    ShapeError
        If an input does not fit, or a transform changes its shape.
    DataError
        If there is no transform, or the graph has several inputs.

    Notes
    -----
    One code in a layer is not one value: the members then lie on one affine piece, and later layers may still tell
    them apart. So `collapsed` asks it of all later layers too. Where it is the first layer, and the transforms given
    are all there are, the network is one affine map on the orbit.

    One forward pass over the members for codes and one for values.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 129-131.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.ReLU()).eval()
    >>> graph = sg.trace(model, torch.zeros(1, 1, 4, 4))
    >>> sg.orbit(graph, torch.rand(1, 4, 4), sg.rotations([90, 180, 270]))
    <Orbit of 4 members: one code from relu on, sampled>
    """
    require_graph(graph)
    if len(graph.inputs) != 1:
        raise DataError(f"the graph has {len(graph.inputs)} inputs", remedy="give a network of one input")
    named = dict(transforms) if isinstance(transforms, Mapping) else _named(transforms)
    if not named:
        raise DataError("there are no transforms", remedy="give callables, as splinegraph.rotations([-10, 10])")
    members = torch.cat([_single(graph, x), *(_image(graph, x, name, g) for name, g in named.items())])
    apart = separation(graph, members, dtype=dtype)
    inner = [layer.name for layer in apart]
    names = list(dict.fromkeys([graph.inputs[0], *inner, *graph.outputs]))
    held = layer_values(graph, (members if dtype is None else members.to(dtype),), names)
    layers = []
    for name in names:
        far = torch.cdist(held[name], held[name], compute_mode="donot_use_mm_for_euclid_dist").double().numpy()
        code = apart[name] if name in inner else None
        layers.append(
            OrbitLayer(
                name,
                None if code is None else code.relative[0],
                None if code is None else float(code.relative.max()),
                None if code is None else len(np.unique(code.hamming == 0, axis=0)),
                far[0],
                float(far.max()),
                _between(reference, name),
            )
        )
    return Orbit(tuple(layers), ("identity", *named), apart.provenance)


def _between(reference: Separation | None, name: str) -> float | None:
    if reference is None or name not in [layer.name for layer in reference]:
        return None
    classes = reference[name].classes
    return None if classes is None else classes.between


def _named(transforms: Sequence[Transform]) -> dict[str, Transform]:
    return {f"{getattr(g, '__name__', 'transform')} {i}": g for i, g in enumerate(transforms)}


def _single(graph: SplineGraph, x: Tensor) -> Tensor:
    shape = tuple(graph.input_shapes[0])
    if not isinstance(x, Tensor) or tuple(x.shape) not in (shape, (1, *shape)):
        found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ShapeError(f"the input of an orbit is {found}", remedy=f"give one tensor of shape {shape}")
    return x.detach().reshape(1, *shape)


def _image(graph: SplineGraph, x: Tensor, name: str, transform: Transform) -> Tensor:
    before = _single(graph, x)
    try:
        after = transform(before.clone())
    except SplineGraphError:
        raise
    except Exception as error:
        raise DataError(f"the transform {name!r} failed", why=f"{type(error).__name__}: {error}") from error
    if not isinstance(after, Tensor) or after.shape != before.shape:
        found = tuple(after.shape) if isinstance(after, Tensor) else type(after).__name__
        raise ShapeError(f"the transform {name!r} gives {found}", remedy=f"return a tensor {tuple(before.shape)}")
    return after.detach().to(before)
