"""A report with something in every section, and a reader of pages that is not the page's own."""

from __future__ import annotations

import copy
import json
from html.parser import HTMLParser
from typing import Any

__all__ = ["Reader", "read", "sample"]

IMAGE = {"shape": [1, 1, 2], "low": -1.0, "high": 1.0, "data": "AP8="}

GRAPH = {
    "name": "Net", "exact": True, "continuous": True, "obstacles": [], "jumps": [], "inputs": {"x": [2]},
    "outputs": {"linear_1": [2]}, "operators": 3, "parameters": 22, "buffers": 0, "batched": True, "notes": ["traced"],
    "nodes": [
        {
            "name": name, "operator": operator, "family": family, "kind": "exact" if reads else "", "exact": True,
            "continuous": True, "shape": "B×2", "reads": reads, "module": module, "source": "net.py:3", "step": None,
            "curvature": "affine", "parameters": 9,
        }
        for name, operator, family, reads, module in [
            ("x", "Input", "input", [], ""), ("linear", "Linear", "affine", ["x"], "0"),
            ("relu", "ReLU", "spline", ["linear"], "1"), ("linear_1", "Linear", "affine", ["relu"], "2"),
        ]
    ],
}  # fmt: skip

UNITS = {
    "layers": [{
        "name": "relu", "operator": "ReLU", "module": "1", "units": 4, "pieces": 2, "share": {"0": 0.25, "1": 0.75},
        "constant": {"0": 1}, "dead": 1, "always_on": 0, "dead_units": [3], "always_on_units": [],
    }],
    "samples": 5, "units": 4, "dead": 1, "always_on": 0,
}  # fmt: skip

MAPS = {
    "kind": "exact", "output": "linear_1", "outputs": 1, "judged": True,
    "rows": [{
        "sample": 0, "label": 1, "label_name": "dog", "output": 0, "output_name": "cat", "value": 1.5, "matching": 1.0,
        "bias": 0.5, "norm": 2.0, "error": 1e-16, "boundary": False,
    }],
}  # fmt: skip

REGIONS = {
    "slice": "box", "samples": [], "scale": 1.0, "cells": 2, "linear_regions": 2, "chords": 1, "crossed_least": 1,
    "crossed_median": 1.5, "crossed_most": 2, "why": "", "checks": [],
    "picture": {
        "kind": "box", "axes": ["x[0]", "x[1]"], "extent": [[0, 1], [0, 1]],
        "vertices": [[0, 0], [0.5, 0], [1, 0], [1, 1], [0.5, 1], [0, 1]], "cells": [[0, 1, 4, 5], [1, 2, 3, 4]],
        "regions": [0, 1], "norms": [1.0, 2.0], "codes": ["0000", "0001"],
        "maps": [[[0, 1.0, 0.0, 0.0], [1, 0.0, 0.0, 0.25]], [[0, 2.0, 0.0, -0.5], [1, 0.0, 0.0, 0.25]]],
        "pieces": [{"corners": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "output": 1, "cell": 0},
                   {"corners": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]], "output": 0, "cell": 1}],
        "boundary": [[[0.5, 0], [0.5, 1]]], "points": [{"sample": 0, "label": 1, "at": [0.25, 0.5]}],
    },
}  # fmt: skip

RUNGS = [
    {"method": "product", "side": "upper", "lower": None, "upper": 4.0, "note": ""},
    {"method": "points", "side": "lower", "lower": 1.0, "upper": None, "note": "of the samples"},
]

LIPSCHITZ = {
    "norm": "2", "domain": "space", "lower": 1.0, "upper": 4.0, "method": "product", "product": 4.0, "why": "",
    "layers": [{"node": "linear", "operator": "Linear", "module": "0", "constant": 2.0, "total": 2.0}],
    "constants": {"x": [1.0, 1.0], "linear": [2.0, 2.0], "relu": [1.0, 2.0], "linear_1": [2.0, 4.0]}, "rungs": RUNGS,
    "local": {"lower": 1.0, "upper": 3.0, "method": "product", "rungs": RUNGS},
}  # fmt: skip

CONVEXITY = {
    "counts": {"convex": 1, "neither": 1}, "why": "",
    "outputs": [{"index": [0], "status": "convex", "method": "curvature", "proof": "all weights are positive"},
                {"index": [1], "status": "neither", "method": "chords", "proof": "0.5 off a chord"}],
    "layers": [{"node": "linear_1", "operator": "Linear", "module": "2", "asks": "weights >= 0", "units": 1,
                "total": 0.5}],
}  # fmt: skip

ACTIVATION = {
    "samples": 5, "cells": 2, "edges": 0, "labels": 2,
    "layers": [{
        "name": "relu", "cells": 2, "alone": 0, "alone_cells": 0.0, "alone_inputs": 0.0, "largest": 0.6, "purity": 0.8,
        "baseline": 0.6, "agreeing": 0.8, "entropy": 0.5, "says_nothing": False,
    }],
    "browser": {
        "layers": ["relu"], "nodes": [[0, "a1", 3, {"0": 2, "1": 1}, [0, 1]], [0, "b2", 2, {"1": 2}, [2]]], "edges": [],
        "left_out": 0,
    },
}  # fmt: skip

TEMPLATES = {
    "samples": 5, "classes": 2, "kind": "exact", "judged": True, "bias_share": 0.25, "own": 0.5, "same": 0.25,
    "other": -0.5, "why": "",
    "measures": [{"name": "to_input", "mean": 0.5, "optimum": 1.0}, {"name": "norm_ratio", "mean": None, "optimum": 1}],
    "gallery": {"left_out": "", "samples": [{
        "sample": 0, "label": 1, "output": 0, "x": IMAGE,
        "rows": [{"output": 0, "score": 1.5, "matching": 1.0, "bias": 0.5, "cosine": 0.5, "template": IMAGE}],
    }]},
}  # fmt: skip

ENCODING = {
    "entries": 2, "why": "", "layers": [{"name": "relu", "module": "1", "size": 4, "above": 0.5, "below": 0.25}],
    "rows": [{"sample": 0, "rank": 1, "most_rank": 2, "free": 1, "unique": False, "adjoint": 0.5, "least_squares": 0.25,
              "cosine": 0.75}],
    "gallery": {"samples": [{"sample": 0, "x": IMAGE, "rows": [{"name": "A^T f(x)", "error": 0.5, "image": IMAGE}]}]},
}  # fmt: skip

MEASURES = {
    "samples": 5, "active": 0.5, "layers": [{"node": "relu", "active": 0.5, "entropy": -0.0, "effective": 2.0}],
    "chords": 4, "variation": 1.5, "variation_kind": "lower", "loss": 0.5, "rise": 0.25, "curvature": 2.0, "why": "",
}  # fmt: skip

SEPARATION = {
    "samples": 5, "classes": 2, "chance": 0.5, "why": "",
    "layers": [{"node": "relu", "mean": 0.5, "within": 0.25, "between": 0.75, "order": 0.9, "purity": 0.8,
                "silhouette": 0.5}],
}  # fmt: skip

PATHS = {
    "samples": 5, "by": "length", "kind": "exact", "why": "",
    "families": [{"name": "0", "paths": 1, "inputs": 0.5, "biases": 0.25, "share": 0.75, "norm": 1.0}],
    "blocks": [{"name": "block", "paths": 1, "inputs": 0.5, "biases": 0.0, "share": 0.25, "norm": 1.0}],
}  # fmt: skip

CHECKS = {"rows": [
    {"name": "equivalence", "part": "trace", "passed": True, "detail": "1e-7 in float32", "tolerance": 1e-5},
    {"name": "f = A x + b", "part": "maps", "passed": False, "detail": "off by 1", "tolerance": 1e-9},
    {"name": "partition", "part": "regions", "passed": None, "detail": "left out", "tolerance": None},
]}  # fmt: skip

INPUTS = {
    "samples": 5, "random": False, "token_orders": False, "lowest": 0.0, "highest": 1.0, "finite": 5, "labels": True,
    "classes": ["cat", "dog"], "accuracy": 0.8, "no_accuracy": None,
}  # fmt: skip

SECTIONS = {
    "graph": GRAPH, "inputs": INPUTS, "units": UNITS,
    "codes": {"samples": 5, "units": 4, "distinct": 2, "alone": 0, "mean_distance": 1.5, "most_common": [[3, 0]]},
    "boundary": {"samples": 5, "on_boundary": 1, "indices": [0], "by_node": {"relu": 1}, "tolerance": 8.0},
    "maps": MAPS, "regions": REGIONS, "lipschitz": LIPSCHITZ, "convexity": CONVEXITY, "activation": ACTIVATION,
    "templates": TEMPLATES, "encoding": ENCODING, "measures": MEASURES, "separation": SEPARATION, "paths": PATHS,
    "checks": CHECKS,
}  # fmt: skip


def sample() -> dict[str, Any]:
    """Return a report of a small network, to be changed at will."""
    return copy.deepcopy({
        "format": "splinegraph report 3", "name": "Net", "complete": True, "notes": ["model: net.py"],
        "request": {"target": "net.py", "only": [], "shapes": [[1, 2]], "seed": 3, "files": {"net.py": "ab" * 32}},
        "provenance": {"splinegraph": "0.1.0", "torch": "2.13.0", "dtype": "float64", "seed": 3, "samples": 5,
                       "random_inputs": False, "weights_sha256": "cd" * 32, "stale": False},
        "sections": {
            name: {"failed": False, "headline": f"the finding of {name}", **held} for name, held in SECTIONS.items()
        },
    })  # fmt: skip


class Reader(HTMLParser):
    """Elements, their attributes and texts, as a browser's parser sees them."""

    VOID = frozenset({"meta", "input", "br", "img", "link", "hr"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[int] = []
        self.texts: dict[int, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self.open[-1]][0] == tag, f"<{tag}> closes <{self.elements[self.open[-1]][0]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.texts[index] = self.texts.get(index, "") + data

    def all(self, tag: str, **attributes: str) -> list[str]:
        """Return the texts of the elements with a tag and attributes (`class_` is class)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            self.texts.get(place, "")
            for place, (name, held) in enumerate(self.elements)
            if name == tag and wanted.items() <= held.items()
        ]

    @property
    def data(self) -> Any:
        """The report that the page holds."""
        (text,) = self.all("script", id="report-data")
        return json.loads(text)


def read(page: str) -> Reader:
    """Parse a page; its elements must be closed in order."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader
