"""Reports to open: one that was made, and made-up ones that are hostile, spoiled or very large."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from splinegraph.analyses.report.reading import JOINED
from splinegraph.cli.main import main

__all__ = ["ATTACKS", "Plain", "digits", "failing", "hostile", "incomplete", "large", "older"]

Plain = dict[str, Any]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

ATTACKS = (
    "<script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 1">',
    "</script><script>window.pwned = 1</script>",
    "<!--<script>",
    "javascript:window.pwned=1",
    "{{ 7 * 7 }}${7 * 7}",
)
"""Names that would run or break something if they were taken for anything but text."""


@functools.cache
def _digits() -> str:
    files = [str(EXAMPLES / "digits_cnn.py"), "--data", str(EXAMPLES / "digits.npz")]
    result = CliRunner().invoke(main, ["analyze", *files, "--quiet", "--json", "-"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def digits() -> Plain:
    """Return the report of the digits CNN with all sections, made once."""
    found: Plain = json.loads(_digits())
    return found


def hostile() -> Plain:
    """Return a report whose names of model, nodes, modules, classes and notes are attacks."""
    report = digits()
    sections = report["sections"]
    new = {node["name"]: f"{ATTACKS[i % len(ATTACKS)]} {i}" for i, node in enumerate(sections["graph"]["nodes"])}
    report = _renamed(report, new)
    report["name"] = ATTACKS[0]
    report["notes"] = list(ATTACKS)
    graph = report["sections"]["graph"]
    for i, node in enumerate(graph["nodes"]):
        node["module"] = node["module"] and f"{ATTACKS[i % len(ATTACKS)]}.{node['module']}"
        node["source"] = node["source"] and f"{ATTACKS[(i + 1) % len(ATTACKS)]}.py:{i}"
    report["sections"]["inputs"]["classes"] = [f"{ATTACKS[i % len(ATTACKS)]} {i}" for i in range(10)]
    for section in report["sections"].values():
        section["headline"] = f"{section['headline']} {ATTACKS[1]}"
    return report


def _renamed(value: Any, new: dict[str, str], within: str = "") -> Any:
    """Return plain data in which nodes have other names: as values, and as keys of what is told node by node."""
    if isinstance(value, dict):
        keys = new if within in ("constants", "inputs", "outputs", "by_node") else {}
        return {keys.get(k, k): _renamed(v, new, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(v, new) for v in value]
    return new.get(value, value) if isinstance(value, str) else value


def incomplete() -> Plain:
    """Return a report of which one section failed, two are missing and the parts that pictures show are null."""
    report = digits()
    report["complete"] = False
    sections = report["sections"]
    for name in ("measures", "paths"):
        del sections[name]
    sections["lipschitz"] = {
        "failed": True, "headline": "could not be made: a planted fault", "error": "RuntimeError",
        "message": "a planted fault",
    }  # fmt: skip
    for name, field in (("regions", "picture"), ("activation", "browser"), ("templates", "gallery")):
        sections[name][field] = None
    return report


def failing() -> Plain:
    """Return a report of which every section failed."""
    report = digits()
    report["complete"] = False
    for name in report["sections"]:
        report["sections"][name] = {
            "failed": True, "headline": f"{name} could not be made", "error": "RuntimeError", "message": "a fault",
        }  # fmt: skip
    return report


def older() -> Plain:
    """Return the report as format 2 had it: without what pictures show."""
    report = digits()
    sections = report["sections"]
    for place, keys in JOINED.items():
        name, _, rest = place.partition(".")
        for held in sections[name][rest] if rest else [sections[name]]:
            for key in keys:
                held.pop(key, None)
    del sections["checks"]
    return {**report, "format": "splinegraph report 2"}


def large(nodes: int = 5000, cells: int = 5000) -> Plain:
    """Return a report of a network with a deep tree of modules, and of a large activation graph."""
    report = digits()
    report["name"] = f"{nodes} nodes"
    graph, shape = report["sections"]["graph"], "B×64×8×8"
    kinds = (("Conv2d(64→64, 3×3, p1)", "affine", "affine"), ("BatchNorm2d", "affine", "affine"),
             ("ReLU", "spline", "convex"), ("Add", "affine", "affine"))  # fmt: skip
    made = [{**graph["nodes"][0], "shape": shape}]
    for i in range(1, nodes):
        operator, family, curvature = kinds[i % 4]
        before = [f"op_{i - 1}"] if i > 1 else [made[0]["name"]]
        made.append({
            "name": f"op_{i}", "operator": operator, "family": family, "kind": "exact", "exact": True,
            "continuous": True, "shape": shape, "reads": before + ([f"op_{i - 4}"] if i % 4 == 3 and i > 4 else []),
            "module": f"stage{i // 1000}.block{i // 100}.unit{i // 10}.layer{i % 10}", "source": f"net.py:{i % 400}",
            "step": None, "curvature": curvature, "parameters": 36928 if i % 4 == 0 else 0,
        })  # fmt: skip
    graph.update(nodes=made, operators=nodes - 1, outputs={made[-1]["name"]: [10]})
    constants = {node["name"]: [1.0 + i % 7 / 10, 1.0 + i] for i, node in enumerate(made)}
    report["sections"]["lipschitz"]["constants"] = constants
    drawn, layers = random.Random(0), 5
    width = cells // layers
    browser = {
        "layers": [f"op_{4 * i + 2}" for i in range(layers)],
        "nodes": [
            [i // width, f"{i:06x}", 1 + i % 5, {str(i % 10): 1 + i % 5}, [i % 360]] for i in range(width * layers)
        ],
        "edges": [[i, (i // width + 1) * width + drawn.randrange(width), 1] for i in range(width * (layers - 1))],
        "left_out": 0, "edges_left_out": 0,
    }  # fmt: skip
    report["sections"]["activation"]["browser"] = browser
    return report
