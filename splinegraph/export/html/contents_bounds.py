"""The sections on what is proved: local affine maps, linear regions, Lipschitz constants, convexity."""

from __future__ import annotations

from typing import Any

from splinegraph.export.html.contents import Facts, Picture, content
from splinegraph.export.html.tables import Cell, Column, Table, node, num, table, text
from splinegraph.export.html.values import MISSING, number

__all__ = ["convexity", "lipschitz", "maps", "regions"]

COUNTED = ["quantity", Column("value", True), "kind"]
"""Headings of a list of numbers with their kinds."""


def counted(row: tuple[str, Any, str]) -> list[Cell]:
    """Return the cells of a number with its name and its kind."""
    return [text(row[0]), num(row[1]), text(row[2], "muted")]


@content(
    "maps",
    "Local affine maps",
    "At a sample x the network is f(x) = A[x] x + b[x]. The row A_c of an output c is its template: the score is the "
    "template matching value ⟨A_c, x⟩ plus the bias b_c. The last column compares this with the network itself.",
)
def maps(section: Facts, report: Facts) -> list[Table]:
    """Return one line per chosen sample."""
    columns = [
        Column("sample", True), "label", Column("output c", hint="the largest output"), Column("f_c(x)", True),
        Column("⟨A_c, x⟩", True, "template matching value"), Column("b_c", True),
        Column("|A_c|", True, "Euclidean norm of the template"),
        Column("|f − Ax − b|", True, "largest difference over all outputs"), "on a boundary",
    ]  # fmt: skip

    def cells(row: Facts) -> list[Cell]:
        wrong = section.get("judged") and row.get("label") is not None and row["label"] != row.get("output")
        label, output = (_class(row.get(name), row.get(f"{name}_name")) for name in ("label", "output"))
        values = [num(row.get(name)) for name in ("value", "matching", "bias", "norm", "error")]
        tied = "yes" if row.get("boundary") else "no"
        return [num(row.get("sample")), text(label), text(output, "warn" if wrong else ""), *values, text(tied)]

    note = "On a boundary the rule for ties chose the code, and A with it. An output in another color is not the label."
    return table("Samples", columns, section.get("rows"), cells, note)


def _class(index: Any, name: Any) -> str:
    return MISSING if index is None else f"{index} {name}" if name else str(index)


@content(
    "regions",
    "Linear regions",
    "Cells and regions of the slice are counted exactly: one cell per activation code, and cells that join to one "
    "affine piece are one linear region. They tell of this slice, not of all of the input space.",
    Picture(
        "slice", "The slice", "Each polygon is an activation cell; the heavy line is the exact decision boundary.",
        lambda section: section.get("picture"),
    ),
)  # fmt: skip
def regions(section: Facts, report: Facts) -> list[Table]:
    """Return the counts."""
    chords = section.get("chords") or 0
    rows = [
        ("activation cells of the slice", section.get("cells"), "exact"),
        ("linear regions of the slice", section.get("linear_regions"), "exact"),
        ("side of the slice, relative to one that holds the samples", section.get("scale"), "chosen"),
        ("chords between samples", chords or None, "chosen"),
        ("cells that a chord crosses, least", section.get("crossed_least"), "exact"),
        ("cells that a chord crosses, median", section.get("crossed_median"), "exact"),
        ("cells that a chord crosses, most", section.get("crossed_most"), "exact"),
    ]
    return table("Counts", COUNTED, [row for row in rows if row[1] is not None], counted)


@content(
    "lipschitz",
    "Lipschitz constant",
    "By how much the outputs change at most, relative to the inputs. A lower end is attained near some input that was "
    "found; an upper end is a certificate. The constant itself lies between them.",
    Picture(
        "ladder", "The ladder",
        "",
        lambda section: section.get("rungs") or section.get("upper") is not None or section.get("lower") is not None,
    ),
    Picture(
        "constants-chart", "Constant of each operator",
        "The operator's own constant, and that of its value as a function of the inputs, by the product of constants "
        "along the graph: an upper bound.",
        lambda section: section.get("constants") or section.get("layers"),
    ),
)  # fmt: skip
def lipschitz(section: Facts, report: Facts) -> list[Table]:
    """Return what each method gives, and the operators' constants."""
    rungs = ["method", "gives", Column("lower end", True), Column("upper end", True), "note"]
    sides = {"lower": "lower end", "upper": "upper end", "both": "both ends"}

    def rung(row: Facts) -> list[Cell]:
        side = sides.get(str(row.get("side")), str(row.get("side") or ""))
        ends = [num(row.get("lower")), num(row.get("upper"))]
        return [text(row.get("method")), text(side), *ends, text(row.get("note") or "")]

    columns = [
        "node", "operator", "module", Column("own constant", True, "in the argument in which it is largest"),
        Column("from the inputs", True, "product along the graph, an upper bound"),
    ]  # fmt: skip

    def layer(row: Facts) -> list[Cell]:
        told = [text(row.get("operator")), text(row.get("module") or "")]
        return [node(row["node"]), *told, num(row.get("constant")), num(row.get("total"))]

    near = section.get("local") or {}
    others = [row for row in section.get("layers") or () if number(row.get("constant")) != "1"]
    note = "Operators whose constant, to four digits, is not 1. No number: none holds for all inputs."
    found = table("Methods", rungs, section.get("rungs"), rung)
    found += table("Methods, in the box around the samples", rungs, near.get("rungs"), rung)
    return [*found, *table("Operators", columns, others, layer, note)]


@content(
    "convexity",
    "Convexity",
    "Verdicts are proved: convex, concave and affine by a certificate that holds for all inputs, neither by inputs "
    "that violate both. Undecided means that no method proved anything.",
)
def convexity(section: Facts, report: Facts) -> list[Table]:
    """Return verdicts with their proofs, and what keeps the network from being convex."""
    tones = {"convex": "good", "concave": "good", "affine": "good", "undecided": "warn"}
    columns = ["output", "verdict", "decided by", "proof"]

    def verdict(row: Facts) -> list[Cell]:
        status = str(row.get("status") or "")
        index = row.get("index") or []
        shown = Cell(", ".join(map(str, index)) or "the output", float(index[0]) if len(index) == 1 else None)
        return [shown, text(status, tones.get(status, "")), text(row.get("method") or ""), text(row.get("proof") or "")]

    failing = ["node", "operator", "module", "condition", Column("units that violate it", True), Column("by", True)]

    def layer(row: Facts) -> list[Cell]:
        told = [text(row.get(name) or "") for name in ("operator", "module", "asks")]
        return [node(row["node"]), *told, num(row.get("units")), num(row.get("total"))]

    note = "Conditions on signs that would prove all outputs convex. By: of weights, the sum of the negative ones."
    found = table("Verdicts", columns, section.get("outputs"), verdict)
    return [*found, *table("Conditions that fail", failing, section.get("layers"), layer, note)]


def bracket(section: Facts) -> str:
    """Return both ends of a Lipschitz constant, such as '21.4 – 511'."""
    lower, upper = section.get("lower"), section.get("upper")
    if lower is None and upper is None:
        return MISSING
    if upper is None:
        return f"≥ {number(lower, 3)}"
    return f"{number(lower, 3)} – {number(upper, 3)}"
