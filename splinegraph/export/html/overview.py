"""The top of a page: what the network is, the main findings with links to their sections, and where they come from."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from splinegraph.export.html.contents import Facts
from splinegraph.export.html.contents_bounds import bracket
from splinegraph.export.html.contents_network import size
from splinegraph.export.html.values import count, number, percent

__all__ = ["BROKEN", "Finding", "facts", "findings", "origin"]

BROKEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What comes of a report.json that was edited: a field is missing, or of another type."""


@dataclass(frozen=True)
class Finding:
    """One finding of the strip at the top.

    Parameters
    ----------
    section : str
        Where it is told in full.
    label, value, detail : str
    tone : str
    """

    section: str
    label: str
    value: str
    detail: str
    tone: str = ""


def facts(report: Mapping[str, Any]) -> list[str]:
    """Return the size of the network and the samples, in words."""
    held = report.get("provenance") or {}
    try:
        found = size(report)
    except BROKEN:
        found = []
    if held.get("samples") is None:
        return found
    noun = "random input" if held.get("random_inputs") else "sample"
    weights = str(held.get("weights_sha256") or "")
    told = [f"weights {weights[:12]}…"] if weights else []
    return [*found, count(held["samples"], noun), *told]


def findings(report: Mapping[str, Any]) -> list[Finding]:
    """Return the main findings; none of a section that is missing, failed or without its number."""
    found = []
    for name, make in _FINDINGS.items():
        section = (report.get("sections") or {}).get(name)
        if not isinstance(section, Mapping) or section.get("failed"):
            continue
        try:
            made = make(section)
        except BROKEN:  # its section tells it
            continue
        if made is not None:
            found.append(Finding(name, *made))
    return found


_Made = tuple[str, ...] | None


def _exactness(section: Facts) -> _Made:
    if not section.get("exact"):
        return "Piecewise affine", "no", count(len(section.get("obstacles") or ()), "operator") + " not", "warn"
    continuous = section.get("continuous")
    told = "continuous, affine on each cell" if continuous else "but not continuous"
    return "Piecewise affine", "exactly", told, "" if continuous else "warn"


def _accuracy(section: Facts) -> _Made:
    if section.get("accuracy") is None:
        return None
    return "Accuracy", f"{100 * section['accuracy']:.2f} %", f"on {count(section.get('samples'), 'sample')}"


def _units(section: Facts) -> _Made:
    if not section.get("units"):
        return None
    told = f"of {number(section['units'])} on {count(section.get('samples'), 'sample')}"
    on = section.get("always_on")
    return "Dead units", number(section.get("dead")), f"{told}; {number(on)} always on"


def _codes(section: Facts) -> _Made:
    if not section.get("units"):
        return None
    return "Distinct codes", number(section.get("distinct")), f"of {count(section.get('samples'), 'sample')}"


def _boundary(section: Facts) -> _Made:
    if not section.get("on_boundary"):
        return None
    return "On a boundary", number(section["on_boundary"]), f"of {count(section.get('samples'), 'sample')}"


def _regions(section: Facts) -> _Made:
    if section.get("linear_regions") is not None:
        told = f"of {count(section.get('cells'), 'activation cell')} in a slice, exact"
        return "Linear regions", number(section["linear_regions"]), told
    if section.get("crossed_median") is not None:
        return "Cells crossed", number(section["crossed_median"]), "by a chord between two samples, median"
    return None


def _lipschitz(section: Facts) -> _Made:
    if section.get("lower") is None and section.get("upper") is None:
        return None
    where = "for all inputs" if section.get("domain") == "space" else "in the box around the samples"
    return "Lipschitz constant", bracket(section), f"in l{section.get('norm')}, {where}: proved ends"


def _convexity(section: Facts) -> _Made:
    counts = section.get("counts")
    if not counts:
        return None
    most = max(counts, key=lambda status: counts[status])
    told = [f"of {count(sum(counts.values()), 'output')}"]
    told += [f"{number(n)} {status}" for status, n in counts.items() if status != most]
    return "Convexity", f"{number(counts[most])} {most}", "; ".join(told), "warn" if most == "undecided" else ""


def _templates(section: Facts) -> _Made:
    mean = next((row.get("mean") for row in section.get("measures") or () if row.get("name") == "to_input"), None)
    if mean is None:
        return None
    return "Template to input", number(mean, 2), "mean cosine; 1 at the optimum"


def _encoding(section: Facts) -> _Made:
    free = [row["free"] for row in section.get("rows") or () if row.get("free") is not None]
    if not free:
        return None
    shown = number(min(free)) if min(free) == max(free) else f"{number(min(free))} – {number(max(free))}"
    return "Dimensions not seen", shown, f"of the input's {number(section.get('entries'))}, at a sample"


def _separation(section: Facts) -> _Made:
    known = [row["purity"] for row in section.get("layers") or () if row.get("purity") is not None]
    if not known:
        return None
    return (
        "Nearest code",
        percent(known[-1]),
        f"of the same class, last layer; by chance {percent(section.get('chance'))}",
    )


def _checks(section: Facts) -> _Made:
    results = [row.get("passed") for row in section.get("rows") or ()]
    ran = [passed for passed in results if passed is not None]
    failed, rest = ran.count(False), len(results) - len(ran)
    told = "all that ran passed" if not failed else f"{failed} failed"
    value = f"{ran.count(True)} of {len(ran)}"
    return "Checks passed", value, told + (f"; {rest} not run" if rest else ""), "bad" if failed else "good"


_FINDINGS: dict[str, Callable[[Facts], _Made]] = {
    "graph": _exactness, "inputs": _accuracy, "units": _units, "codes": _codes, "boundary": _boundary,
    "regions": _regions, "lipschitz": _lipschitz, "convexity": _convexity, "templates": _templates,
    "encoding": _encoding, "separation": _separation, "checks": _checks,
}  # fmt: skip


def origin(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return where the report comes from: what was asked for, files, weights, versions."""
    held, asked = report.get("provenance") or {}, report.get("request") or {}
    rows = [("command", _command(asked))]
    files = asked.get("files")
    digests = files if isinstance(files, Mapping) else {}  # a report.json may have been edited
    rows += [(f"SHA-256 of {name}", str(digest)) for name, digest in digests.items()]
    rows += [("SHA-256 of the weights", str(held.get("weights_sha256") or ""))]
    rows += [("samples", number(held.get("samples")) + (" random inputs" if held.get("random_inputs") else ""))]
    rows += [("arithmetic", str(held.get("dtype") or "")), ("seed", str(held.get("seed", "")))]
    versions = [f"{name} {held[name]}" for name in ("splinegraph", "torch") if held.get(name)]
    rows += [("made with", ", ".join(versions)), ("format", str(report.get("format") or ""))]
    if held.get("stale"):
        rows += [("warning", "the weights changed while the report was made")]
    return [(name, value) for name, value in rows if value]


def _command(asked: Mapping[str, Any]) -> str:
    """Return the command that asks for the same; only what differs from the defaults."""
    options = {"shapes": "--input-shape", "inputs": "--input"}
    usual = {"output": "logits", "limit": 10_000, "dtype": "float64", "seed": 0}
    words: list[str] = []
    for name, given in asked.items():
        if name in ("target", "files") or given in (None, [], usual.get(name)):
            continue
        option = options.get(name, "--" + name.replace("_", "-"))
        many = given if name in ("shapes", "inputs", "only", "skip") and isinstance(given, list) else [given]
        for item in many:
            words += [option, ",".join(map(str, item)) if isinstance(item, list) else str(item)]
    if not asked.get("target"):
        return ""
    return " ".join(["splinegraph analyze", *map(shlex.quote, [str(asked["target"]), *words])])
