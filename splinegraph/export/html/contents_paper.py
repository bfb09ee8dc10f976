"""The sections on the paper's analyses: activation graph, templates, encoding, measures, separation, paths."""

from __future__ import annotations

from splinegraph.export.html.contents import Facts, Picture, content
from splinegraph.export.html.contents_bounds import COUNTED, counted
from splinegraph.export.html.tables import Cell, Column, Table, node, num, share, table, text
from splinegraph.export.html.values import MISSING

__all__ = ["activation", "encoding", "measures", "paths", "separation", "templates"]


@content(
    "activation",
    "Activation graph",
    "Each layer's cells that the samples visit, and the steps from one layer to the next. Counted on these samples.",
    Picture(
        "activation-graph", "The graph",
        "A circle is a cell of a layer, larger with more samples, in the color of its main class. Choose one for its "
        "samples and the paths through it.",
        lambda section: section.get("browser"),
    ),
)  # fmt: skip
def activation(section: Facts, report: Facts) -> list[Table]:
    """Return one line per layer."""
    columns = [
        "layer", Column("cells", True), Column("alone", True, "samples that share their cell with no other"),
        Column("largest cell", True, "share of the samples"),
        Column("purity", True, "share of samples whose label is their cell's main one"),
        Column("purity of permuted labels", True, "what chance would give"),
        Column("agreeing", True, "samples for which most others in the cell have the same label"),
    ]  # fmt: skip

    def cells(row: Facts) -> list[Cell]:
        tone = "muted" if row.get("says_nothing") else ""
        known = [share(row.get(name), tone) for name in ("alone_inputs", "largest", "purity", "baseline", "agreeing")]
        return [node(row["name"]), num(row.get("cells"), tone), *known]

    note = (
        "Alone: samples that share their cell with no other; where nearly all are alone, purity says nothing of "
        "classes, and is muted. Agreeing: most others in the cell have the same label."
    )
    return table("Layers", columns, section.get("layers"), cells, note)


MEANINGS = {
    "to_input": "cosine of the class's template to x",
    "to_wrong": "cosine of it to those of other classes",
    "between_wrong": "cosine between those of other classes",
    "norm_ratio": "its norm over theirs",
}


@content(
    "templates",
    "Templates",
    "The rows of A[x], one per class: what the network compares a sample with. Means over the first samples, after the "
    "templates' mean was subtracted, beside what the optimum of Theorem 5, corrected, has.",
    Picture(
        "template-gallery", "Gallery",
        "A sample, and the templates it is matched with. Blue is negative and red positive, on one scale per sample.",
        lambda section: section.get("gallery"),
    ),
)  # fmt: skip
def templates(section: Facts, report: Facts) -> list[Table]:
    """Return the measures beside the optimum, and how templates tell classes apart."""
    columns = ["templates minus their mean", Column("mean", True), Column("at the optimum", True)]

    def cells(row: Facts) -> list[Cell]:
        name = str(row.get("name"))
        return [text(MEANINGS.get(name, name)), num(row.get("mean")), num(row.get("optimum"))]

    own = [
        ("cosine of the label's template to its own input", section.get("own"), "mean over samples"),
        ("to other inputs of the class", section.get("same"), "mean over samples"),
        ("to inputs of other classes", section.get("other"), "mean over samples"),
        ("share of the bias in the score", section.get("bias_share"), "mean over samples"),
    ]
    found = table("Against the optimum", columns, section.get("measures"), cells)
    return [*found, *table("What templates match", COUNTED, [row for row in own if row[1] is not None], counted)]


@content(
    "encoding",
    "Encoding",
    "What code and amplitude f(x) keep of a sample x. The rank of A[x] is proved to rounding; what it leaves free of "
    "the input's dimensions is lost. Errors are squared, relative to the squared norm.",
    Picture(
        "encoding-gallery", "Reconstructions",
        "Samples, and what comes back from their outputs: by Aᵀ f(x), and by least squares with the sample's code.",
        lambda section: section.get("gallery"),
    ),
)  # fmt: skip
def encoding(section: Facts, report: Facts) -> list[Table]:
    """Return one line per sample, and one per layer."""
    columns = [
        Column("sample", True), Column("rank of A", True, "proved to rounding"),
        Column("free dimensions", True, "of the input, that A does not see"),
        Column("only input", hint="whether no other input has its code and amplitude"),
        Column("error of Aᵀf", True), Column("of least squares", True), Column("cos(x, Aᵀf)", True),
    ]  # fmt: skip

    def sample(row: Facts) -> list[Cell]:
        rank, most = row.get("rank"), row.get("most_rank")
        shown = num(rank) if rank == most else Cell(f"{rank} to {most}", rank)
        unique = row.get("unique")
        only = MISSING if unique is None else "yes" if unique else "no"
        errors = [num(row.get(name)) for name in ("adjoint", "least_squares", "cosine")]
        return [num(row.get("sample")), shown, num(row.get("free")), text(only), *errors]

    layers = [
        "layer", "module", Column("size", True), Column("layer from f", True, "error of (df/dz)ᵀ f(x)"),
        Column("x from layer", True, "error of (dz/dx)ᵀ z"),
    ]  # fmt: skip

    def layer(row: Facts) -> list[Cell]:
        numbers = [num(row.get(name)) for name in ("size", "above", "below")]
        return [node(row["name"]), text(row.get("module") or ""), *numbers]

    note = "Layers that all paths run through; medians over the samples."
    found = table("Samples", columns, section.get("rows"), sample)
    return [*found, *table("Layers", layers, section.get("layers"), layer, note)]


@content("measures", "Measures", "Sparsity, smoothness and sharpness on the first samples.")
def measures(section: Facts, report: Facts) -> list[Table]:
    """Return the network's measures, and one line per switching operator."""
    kind = "lower bound" if section.get("variation_kind") == "lower" else "exact on each chord"
    rows = [
        ("share of active units", section.get("active"), "mean over samples"),
        ("turning of the slope along chords between samples", section.get("variation"), kind),
        ("cross entropy", section.get("loss"), "mean over samples"),
        ("its rise where every filter moves by a tenth of its length", section.get("rise"), "estimate"),
        ("largest eigenvalue of its Hessian", section.get("curvature"), "lower bound"),
    ]
    columns = [
        "node", Column("active", True), Column("entropy of a unit, bits", True), Column("effective patterns", True)
    ]  # fmt: skip

    def cells(row: Facts) -> list[Cell]:
        entropy = row.get("entropy")
        shown = num(abs(entropy) if isinstance(entropy, float) else entropy)  # there is a −0.0
        return [node(row["node"]), share(row.get("active")), shown, num(row.get("effective"))]

    found = table("Of the network", COUNTED, [row for row in rows if row[1] is not None], counted)
    note = "Effective patterns: 2 to the entropy of the layer's codes. Units that select have no active state."
    return [*found, *table("Switching operators", columns, section.get("layers"), cells, note)]


@content(
    "separation",
    "Separation of classes",
    "Distances between the codes of samples, as shares of the largest possible distance.",
    Picture(
        "separation-chart", "Through the layers",
        "Distances within and between classes, and how often the nearest code is of the same class.",
        lambda section: any(row.get("purity") is not None for row in section.get("layers") or ()),
    ),
)  # fmt: skip
def separation(section: Facts, report: Facts) -> list[Table]:
    """Return one line per switching operator."""
    columns = [
        "node", Column("mean distance", True), Column("within classes", True), Column("between classes", True),
        Column("within is nearer", True, "share of triples"), Column("nearest of the class", True),
        Column("silhouette", True),
    ]  # fmt: skip

    def cells(row: Facts) -> list[Cell]:
        shares = [share(row.get(name)) for name in ("mean", "within", "between", "order", "purity")]
        return [node(row["node"]), *shares, num(row.get("silhouette"))]

    return table("Switching operators", columns, section.get("layers"), cells)


@content(
    "paths",
    "Paths",
    "What families of paths through the network carry to the largest output, with the gates kept as they are. The "
    "families add up to the output.",
    Picture(
        "paths-chart", "Families of paths", "Mean over the samples.", lambda section: section.get("families")
    ),
)  # fmt: skip
def paths(section: Facts, report: Facts) -> list[Table]:
    """Return one line per family, and one per residual branch."""
    first = "branches passed" if section.get("by") == "length" else "first cell"
    numbers = [
        Column("paths", True), Column("share", True, "of the sum of absolute values"), Column("from inputs", True),
        Column("from biases", True), Column("|template|", True),
    ]  # fmt: skip

    def cells(row: Facts) -> list[Cell]:
        carried = [num(row.get(name)) for name in ("inputs", "biases", "norm")]
        return [text(row["name"]), num(row.get("paths")), share(row.get("share")), *carried]

    note = "The paths through a branch may pass others too: these families overlap."
    found = table("Families", [first, *numbers], section.get("families"), cells)
    return [*found, *table("Branches", ["through branch", *numbers], section.get("blocks"), cells, note)]
