"""The sections on the network and its samples: operators, inputs, units, codes, boundaries, and the checks."""

from __future__ import annotations

from splinegraph.export.html.contents import Facts, Picture, content
from splinegraph.export.html.tables import Cell, Column, Table, node, num, share, table, text
from splinegraph.export.html.values import MISSING, count, percent, shape

__all__ = ["boundary", "checks", "codes", "graph", "inputs", "units"]


@content(
    "graph",
    "Operators",
    "The network as a composition of operators. Exact: the operator is affine on each of finitely many cells. Tangent "
    "or opaque ones are not, and results that rest on them say so.",
    Picture(
        "operator-graph", "Operator graph", "",
        lambda section: section.get("nodes"),
    ),
)  # fmt: skip
def graph(section: Facts, report: Facts) -> list[Table]:
    """Return one line per operator."""
    columns = [
        "node", "operator", "shape",
        Column("kind", hint="exact: piecewise affine; otherwise why not"),
        Column("curvature", hint="of the operator itself, as a function of its arguments"),
        Column("parameters", True), "module", Column("step", True), "source",
    ]  # fmt: skip

    def cells(row: Facts) -> list[Cell]:
        kind = str(row.get("kind") or "")
        return [
            node(row["name"]), text(row.get("operator")), text(row.get("shape")),
            text(kind, "" if kind in ("exact", "") else "warn"), text(row.get("curvature") or ""),
            num(row.get("parameters")) if row.get("parameters") else Cell(""), text(row.get("module") or ""),
            num(row.get("step")), text(row.get("source") or ""),
        ]  # fmt: skip

    notes = " ".join(map(str, section.get("notes") or ()))
    return table("Operators", columns, section.get("nodes"), cells, notes)


@content("inputs", "Inputs", "The samples that everything below is counted on.")
def inputs(section: Facts, report: Facts) -> list[Table]:
    """Return the classes by name."""
    named = section.get("classes") or []
    columns = [Column("class", True), "name"]
    return table("Classes", columns, enumerate(named), lambda row: [num(row[0]), text(row[1])])


@content(
    "units",
    "Units",
    "Counted on the samples: another sample may switch a unit that these do not.",
    Picture(
        "units-chart", "Share of each piece",
        "",
        lambda section: section.get("layers"),
    ),
)  # fmt: skip
def units(section: Facts, report: Facts) -> list[Table]:
    """Return one line per switching operator."""
    columns = [
        "node", "operator", "module", Column("units", True), Column("pieces", True, "of one unit"),
        Column("dead", True, "units whose output is the same number for all samples"),
        Column("always on", True, "units that never switch, on a piece that is not flat"),
        Column("share of each piece", hint="of all pairs of a sample and a unit"),
    ]  # fmt: skip

    def cells(row: Facts) -> list[Cell]:
        pieces = row.get("pieces")
        dead, on = (num(row.get(name), "warn" if row.get(name) else "") for name in ("dead", "always_on"))
        return [
            node(row["name"]), text(row.get("operator")), text(row.get("module") or ""), num(row.get("units")),
            num(pieces) if pieces else Cell("unbounded"), dead, on, text(_shares(row)),
        ]  # fmt: skip

    note = "Dead: the same number for all samples. Always on: never switches, and is not flat."
    return table("Switching operators", columns, section.get("layers"), cells, note)


def _shares(row: Facts) -> str:
    """Return the shares of the pieces in their order; of many only the largest."""
    held = {str(piece): value for piece, value in (row.get("share") or {}).items()}
    if 0 < (row.get("pieces") or 0) <= 6:
        return " · ".join(percent(held.get(str(piece), 0.0), 2) for piece in range(row["pieces"]))
    if not held:
        return MISSING
    most = max(held, key=lambda piece: held[piece])
    return f"most on {most}: {percent(held[most], 2)}"


@content(
    "codes",
    "Activation codes",
    "The code of a sample says on which piece each unit is. Samples with the same code lie in the same activation "
    "cell, and the network has one affine map there.",
)
def codes(section: Facts, report: Facts) -> list[Table]:
    """Return the most common codes."""
    shared = [row for row in section.get("most_common") or () if row[0] > 1 and section.get("units")]
    columns = [Column("samples with the code", True), Column("first of them", True)]
    return table("Most common codes", columns, shared, lambda row: [num(row[0]), num(row[1])])


@content(
    "boundary",
    "Samples on boundaries",
    "Samples at which two pieces of a unit tie, to rounding: there the network has more than one affine map, and a "
    "rule for ties chooses.",
)
def boundary(section: Facts, report: Facts) -> list[Table]:
    """Return how many samples tie at each operator."""
    samples = section.get("samples") or 0
    columns = ["node", Column("samples that tie there", True), Column("share", True)]

    def cells(row: tuple[str, int]) -> list[Cell]:
        return [node(row[0]), num(row[1]), share(row[1] / samples if samples else None)]

    return table("Operators that tie", columns, (section.get("by_node") or {}).items(), cells)


@content(
    "checks",
    "Checks",
    "What the numbers above rest on, and was tested for this network. A check that was not run says why.",
)
def checks(section: Facts, report: Facts) -> list[Table]:
    """Return one line per check."""
    words = {True: ("passed", "good"), False: ("FAILED", "bad"), None: ("not run", "muted")}
    columns = ["check", "of", "result", "what was found", Column("tolerance", True)]

    def cells(row: Facts) -> list[Cell]:
        told, tone = words.get(row.get("passed"), words[None])
        part = str(row.get("part") or "")
        return [text(row.get("name")), text(part), text(told, tone), text(row.get("detail")), num(row.get("tolerance"))]

    return table("Checks that ran", columns, section.get("rows"), cells)


def size(report: Facts) -> list[str]:
    """Return what the network is made of, in words."""
    section = (report.get("sections") or {}).get("graph") or {}
    if section.get("failed") or not section:
        return []
    ends = [", ".join(map(shape, (section.get(name) or {}).values())) for name in ("inputs", "outputs")]
    found = [count(section.get("operators"), "operator"), count(section.get("parameters"), "parameter")]
    return [*found, " → ".join(ends)] if all(ends) else found
