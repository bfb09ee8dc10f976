"""Domains as they are typed: a box, a plane, a segment."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from splinegraph.cli.options import add_options

if TYPE_CHECKING:
    from torch import Tensor

    from splinegraph.core.domains.plane import Plane
    from splinegraph.core.graph import SplineGraph
    from splinegraph.data.source import DataSource

    Samples = Callable[[], DataSource | None]

__all__ = [
    "BOUNDED", "DOMAINS", "EVERY", "Domain", "bounded_options", "domain_of", "domain_options", "every_domain_options",
]  # fmt: skip

C = TypeVar("C", bound=Callable[..., Any])

DOMAINS = ("box", "box_around", "slice_of", "through", "segment")
"""Names of the options, one of which is given."""

BOUNDED = ("box", "box_around", "ball")
"""Those of the commands that bound a network on a domain of full dimension."""

EVERY = (*DOMAINS, "ball")
"""All of them."""

_OPTIONS = (
    click.option(
        "--box", nargs=2, metavar="LO HI",
        help="All inputs between two bounds: a number, numbers with commas between them, or an .npy file each. "
        "Entries with LO = HI are fixed.",
    ),
    click.option(
        "--box-around", nargs=2, metavar="FILE RADIUS",
        help="All inputs that differ from the one in an .npy file by at most RADIUS in each entry.",
    ),
    click.option(
        "--slice", "slice_of", metavar="FILE",
        help="A plane: an .npy file with three inputs that it runs through, or an .npz file with them as `points`, "
        "or with `origin`, `u`, `v` and, if you like, `extent` (lo, hi of u, then of v).",
    ),
    click.option("--through", metavar="I,J,K", help="The plane through three samples of --data."),
    click.option(
        "--segment", metavar="I,J|FILE", help="From one sample of --data to another, or between two inputs in a file."
    ),
    click.option(
        "--margin", type=click.FloatRange(min=0), metavar="M",
        help="How far a plane through three points goes beyond them, as a fraction of their extent.",
    ),
    click.option(
        "--zoom", type=click.FloatRange(min=1), default=1.0, show_default=True, metavar="Z",
        help="Look at the middle of a plane only: 1/Z of each side.",
    ),
)  # fmt: skip


def domain_options(command: C) -> C:
    """Add what says which inputs are looked at."""
    return add_options(_OPTIONS, command)


_BALL = click.option(
    "--ball", nargs=2, metavar="FILE RADIUS",
    help="All inputs at Euclidean distance RADIUS or less from the one in an .npy file.",
)  # fmt: skip


def bounded_options(command: C) -> C:
    """Add what says which inputs are looked at, of full dimension: a box or a ball."""
    return add_options((*_OPTIONS[:2], _BALL), command)


def every_domain_options(command: C) -> C:
    """Add what says which inputs are looked at: any convex set of inputs."""
    return add_options((*_OPTIONS, _BALL), command)


@dataclass(frozen=True)
class Domain:
    """A domain, and the inputs that it was made of.

    Parameters
    ----------
    on : domain of the library
    text : str
        What it is, in a few words.
    marked : tuple of Tensor of shape (N, *in), or None
        Inputs to mark in figures.
    names : tuple of str
        What to write beside them.
    """

    on: Any
    text: str
    marked: tuple[Tensor, ...] | None = None
    names: tuple[str, ...] = field(default=())


def domain_of(asked: Mapping[str, Any], graph: SplineGraph, data: Samples, kinds: Sequence[str] = DOMAINS) -> Domain:
    """Return the domain that was asked for, one of some kinds; `data` is called where it names samples.

    Raises
    ------
    click.UsageError
        If there is not one domain, or it cannot be read as one.
    DataError
        If a file or a sample is not there or does not fit.
    """
    given = [name for name in kinds if asked.get(name) not in (None, ())]
    if len(given) != 1:
        names = ", ".join("--" + name.replace("_of", "").replace("_", "-") for name in kinds)
        raise click.UsageError(f"{'no domain' if not given else 'more than one domain'}; give one of {names}")
    if len(graph.inputs) != 1:
        raise click.UsageError(f"{graph.name} has {len(graph.inputs)} inputs; domains are for networks with one")
    (kind,) = given
    value, shape = asked[kind], tuple(graph.input_shapes[0])
    if kind == "box":
        return _box(value[0], value[1], shape)
    if kind in ("box_around", "ball"):
        return _around(value[0], value[1], shape, ball=kind == "ball")
    if kind == "segment":
        return _segment(value, graph, data)
    margin = asked.get("margin")
    plane = _through(value, graph, data, margin) if kind == "through" else _slice(value, shape, margin)
    zoom = asked.get("zoom") or 1.0
    return (
        plane
        if zoom == 1.0
        else dataclasses.replace(plane, on=_middle(plane.on, zoom), text=f"{plane.text}, zoomed {zoom:g} times")
    )


def _box(low: str, high: str, shape: tuple[int, ...]) -> Domain:
    from splinegraph.core.values import Box

    sides = [_bound(text, shape) for text in (low, high)]
    return Domain(Box(*sides), f"box from {low} to {high}")


def _bound(text: str, shape: tuple[int, ...]) -> Tensor:
    """Read one number, one per entry, or a file of them."""
    import torch

    if Path(text).suffix.lower() in (".npy", ".npz"):
        return _array(text, shape)
    try:
        numbers = [float(item) for item in text.strip("()[]").split(",")]
    except ValueError:
        raise click.UsageError(f"{text!r} is no bound; give a number, numbers with commas, or an .npy file") from None
    entries = math.prod(shape)
    if len(numbers) not in (1, entries):
        raise click.UsageError(f"{text!r} has {len(numbers)} numbers, the input {entries} entries")
    flat = torch.tensor(numbers, dtype=torch.float64)
    return flat.expand(shape) if len(numbers) == 1 else flat.reshape(shape)


def _around(file: str, radius: str, shape: tuple[int, ...], *, ball: bool = False) -> Domain:
    from splinegraph.core.domains.ball import Ball
    from splinegraph.core.values import Box

    center = _array(file, shape)
    try:
        size = float(radius)
    except ValueError:
        size = math.nan
    if not (math.isfinite(size) and size >= 0):
        raise click.UsageError(f"{radius!r} is no radius, such as 0.1")
    if ball:
        return Domain(Ball(center, size), f"ball around {file}, radius {radius}", (center[None],), ("x",))
    return Domain(Box.around(center, radius=size), f"box around {file}, radius {radius}", (center[None],), ("x",))


def _through(text: str, graph: SplineGraph, data: Samples, margin: float | None) -> Domain:
    places = _places(text, 3, "--through", "0,1,2")
    points, names = _samples(places, graph, data, "--through")
    return _plane(points, f"plane through samples {', '.join(map(str, places))}", names, margin)


def _plane(points: Tensor, text: str, names: tuple[str, ...], margin: float | None) -> Domain:
    from splinegraph.core.domains.plane import Plane

    wanted = {} if margin is None else {"margin": margin}
    return Domain(Plane.through(*points, **wanted), text, (points,), names)


def _segment(text: str, graph: SplineGraph, data: Samples) -> Domain:
    from splinegraph.core.domains.segment import Segment

    shape = tuple(graph.input_shapes[0])
    if Path(text).suffix.lower() in (".npy", ".npz"):
        points, told = _array(text, (2, *shape)), f"segment of {text}"
        names: tuple[str, ...] = ("a", "b")
    else:
        places = _places(text, 2, "--segment", "0,1")
        points, names = _samples(places, graph, data, "--segment")
        told = f"segment from sample {places[0]} to {places[1]}"
    return Domain(Segment(*points), told, (points,), names)


def _slice(file: str, shape: tuple[int, ...], margin: float | None) -> Domain:
    import torch

    from splinegraph.core.domains.plane import Plane

    arrays = _arrays(file)
    if not {"origin", "u", "v"} <= set(arrays):
        return _plane(_array(file, (3, *shape)), f"plane of {file}", ("a", "b", "c"), margin)
    origin, u, v = (_fit(torch.from_numpy(arrays[name]), shape, f"{name} in {file}") for name in ("origin", "u", "v"))
    if "extent" not in arrays:
        return Domain(Plane(origin, u, v), f"plane of {file}")
    (a, b), (c, d) = _fit(torch.from_numpy(arrays["extent"]), (2, 2), f"extent in {file}").tolist()
    return Domain(Plane(origin, u, v, ((a, b), (c, d))), f"plane of {file}")


def _middle(plane: Plane, zoom: float) -> Plane:
    """Return the middle part of a plane."""
    from splinegraph.core.domains.plane import Plane

    chart = plane.chart
    half, middle = (chart.upper - chart.lower) / (2 * zoom), (chart.upper + chart.lower) / 2
    (a, c), (b, d) = (middle - half).tolist(), (middle + half).tolist()
    return Plane(plane.origin, plane.u, plane.v, ((a, b), (c, d)))


# from files and data


def _places(text: str, count: int, option: str, example: str) -> tuple[int, ...]:
    items = text.strip("()[]").split(",")
    if len(items) != count or not all(item.strip().isdecimal() for item in items):
        raise click.UsageError(f"{option} {text!r} is no list of {count} samples, such as {example}")
    return tuple(map(int, items))


def _samples(
    places: tuple[int, ...], graph: SplineGraph, given: Samples, option: str
) -> tuple[Tensor, tuple[str, ...]]:  # fmt: skip
    """Return samples of the data, and what to write beside them."""
    import torch

    from splinegraph.errors import DataError

    data = given()
    if data is None:
        raise click.UsageError(f"{option} names samples: give --data")
    found: dict[int, tuple[Tensor, str]] = {}
    for inputs, labels, start in data.take(max(places) + 1).batches(256):
        for place in places:
            if start <= place < start + len(inputs[0]):
                label = "" if labels is None else f" (class {int(labels[place - start])})"
                found[place] = inputs[0][place - start].double(), f"{place}{label}"
    missing = [place for place in places if place not in found]
    if missing:
        raise DataError(f"{data.name} has no sample {missing[0]}", remedy="choose others")
    points = torch.stack([found[place][0] for place in places])
    return _fit(points, (len(places), *graph.input_shapes[0]), data.name), tuple(found[place][1] for place in places)


def _array(file: str, shape: tuple[int, ...]) -> Tensor:
    """Read the one array of a file that has to have a shape, or one like it but for axes of length 1."""
    import torch

    from splinegraph.errors import DataError

    arrays = _arrays(file)
    name = "points" if "points" in arrays else next(iter(arrays), "")
    if len(arrays) != 1 and name != "points":
        raise DataError(f"{file} holds {len(arrays)} arrays", remedy="give an .npy file with one")
    return _fit(torch.from_numpy(arrays[name]), shape, file)


def _arrays(file: str) -> dict[str, Any]:
    import numpy as np

    from splinegraph.errors import DataError

    try:
        held = np.load(file, allow_pickle=False)
        return {"": held} if isinstance(held, np.ndarray) else {name: held[name] for name in held.files}
    except FileNotFoundError as error:
        raise DataError(f"there is no file {file}") from error
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot read {file}", why=str(error), remedy="give an .npy or .npz file of numbers") from error


def _fit(array: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    from splinegraph.errors import DataError

    if array.dtype.is_complex or array.numel() != math.prod(shape):
        raise DataError(f"{name} has shape {tuple(array.shape)}, expected {shape}")
    found = array.double().reshape(shape)
    if not bool(found.isfinite().all()):
        raise DataError(f"{name} holds NaN or infinite numbers")
    return found
