"""What `splinegraph doctor` looks at. Nothing here may fail: what does is a finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from splinegraph.errors import SplineGraphError, one_line

__all__ = ["FORMAT", "PARTS", "Finding", "examine", "to_dict"]

FORMAT = "splinegraph doctor 1"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    part : str
        The heading that it stands under.
    name, value : str
    status : {'ok', 'missing', 'warning', 'broken'}
        Missing is what is optional and not installed.
    needed : bool
        Whether the library cannot do without it.
    remedy : str
        What to do about it; '' if there is nothing to do.
    """

    part: str
    name: str
    value: str
    status: str = "ok"
    needed: bool = False
    remedy: str = ""


Part = Callable[[], Iterable[Finding]]


def examine(parts: Sequence[tuple[str, Part]] = ()) -> list[Finding]:
    """Return all findings, part by part.

    Parameters
    ----------
    parts : sequence of (name, function)
        Default: `PARTS`.
    """
    findings: list[Finding] = []
    for name, look in parts or PARTS:
        try:
            findings.extend(look())
        except Exception as error:  # noqa: BLE001  # what fails is what this is for
            findings.append(Finding(name, name, told(error), "broken", needed=True))
    return findings


def to_dict(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return findings as plain JSON types."""
    works = not any(finding.status == "broken" and finding.needed for finding in findings)
    return {"format": FORMAT, "works": works, "findings": [asdict(finding) for finding in findings]}


def told(error: BaseException) -> str:
    """Return an error on one line; one of ours needs no name."""
    text = one_line(str(error))
    return text if isinstance(error, SplineGraphError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def _smoke() -> Iterator[Finding]:
    """Try what the library is for on a tiny network."""
    state: dict[str, Any] = {}
    for name, step in (("trace", _trace), ("regions", _regions), ("bounds", _bounds), ("figure", _figure)):
        try:
            value, good = step(state)
        except Exception as error:  # noqa: BLE001  # as above
            value, good = told(error), False
        yield Finding("smoke test", name, value, "ok" if good else "broken", needed=True)
        if not good:
            return  # what follows needs it


def _trace(state: dict[str, Any]) -> tuple[str, bool]:
    import torch

    import splinegraph as sg

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden, last = torch.nn.Linear(2, 8), torch.nn.Linear(8, 2)
    net = torch.nn.Sequential(hidden, torch.nn.ReLU(), last).double().eval()
    state["graph"] = graph = sg.trace(net, torch.zeros(1, 2, dtype=torch.float64))
    return "a network of 8 units computes what the model computes", bool(graph.exact)


def _regions(state: dict[str, Any]) -> tuple[str, bool]:
    import torch

    import splinegraph as sg

    corner = torch.full((2,), 2.0, dtype=torch.float64)
    state["box"] = sg.Box(-corner, corner)
    found = sg.enumerate_regions(state["graph"], state["box"])
    checks = found.verified
    told = "no checks" if checks is None else checks.summary
    return f"{found.count} cells in a square, {told}", checks is not None and checks.ok


def _bounds(state: dict[str, Any]) -> tuple[str, bool]:
    import splinegraph as sg

    bound = sg.lipschitz(state["graph"], on=state["box"], budget=0)
    if bound.certificate is None or not bound.certificate.verify():
        return "the certificate of the Lipschitz constant is not verified", False
    return f"Lipschitz constant {bound.lower:.3g} to {bound.upper:.3g}, certificate verified", True


def _figure(state: dict[str, Any]) -> tuple[str, bool]:
    import io

    from splinegraph.export.graphs.boxes import figure_of
    from splinegraph.export.graphs.figure import plot_graph

    held = io.BytesIO()
    figure_of(plot_graph(state["graph"])).savefig(held, format="png", dpi=50)
    return f"a figure of {held.tell():,} bytes, without a display", held.tell() > 0


def _packages() -> Iterable[Finding]:
    from splinegraph.cli.doctor_packages import packages

    return packages()


def _machine() -> Iterable[Finding]:
    from splinegraph.cli.doctor_machine import machine

    return machine()


PARTS: tuple[tuple[str, Part], ...] = (("packages", _packages), ("machine", _machine), ("smoke test", _smoke))
"""What is looked at, in this order: what is not installed explains what does not work."""
