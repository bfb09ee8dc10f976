"""The work, the files and the table of `splinegraph templates`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from splinegraph.analyses.templates.saving import FILES, INDEX
from splinegraph.analyses.templates.templates import Templates, templates
from splinegraph.cli.opening import open_graph
from splinegraph.cli.output import Write, deliver_files
from splinegraph.cli.progress import stages
from splinegraph.cli.render_pieces import fill, text_table
from splinegraph.cli.request import Request
from splinegraph.errors import DataError, one_line

__all__ = ["Looked", "looked_at", "render", "write_results"]


@dataclass(frozen=True, eq=False)
class Looked:
    """Templates, and where they come from.

    Parameters
    ----------
    found : Templates
    at : tuple of int
        Which samples.
    names : tuple of str or None
        Of the classes, if they have any.
    notes : tuple of str
    request : Request
    """

    found: Templates
    at: tuple[int, ...]
    names: tuple[str, ...] | None
    notes: tuple[str, ...]
    request: Request

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        names = None if self.names is None else list(self.names)
        return {
            "format": "splinegraph templates 1", "at": list(self.at), "class_names": names, **self.found.to_dict(),
            "notes": list(self.notes), "request": self.request.to_dict(),
        }  # fmt: skip

    def called(self, number: int) -> str:
        """Return a class's number and its name, if it has one."""
        known = self.names is not None and number < len(self.names)
        return f"{number} {self.names[number]}" if known and self.names is not None else str(number)


def looked_at(
    asked: Mapping[str, Any], at: tuple[int, ...] | None, classes: tuple[int, ...] | None, first: int, *, trust: bool,
    command: str, quiet: bool,
) -> Looked:  # fmt: skip
    """Open the model and the data, and look at the samples asked for.

    Raises
    ------
    SplineGraphError
        If something does not fit.
    """
    request = Request(**asked, at=at)
    with stages(shown=not quiet) as progress:
        opened = open_graph(request, trust=trust, command=command, progress=progress)
        data = opened.samples()
        if data is None:
            raise DataError("no samples to match templates with", remedy="give --data")
        chosen = tuple(range(min(first, len(data)))) if at is None else at
        batch = data.rows(chosen)
        if len(batch.inputs) > 1:
            raise DataError(f"samples of {data.name} are {len(batch.inputs)} inputs", remedy="give a network with one")
        progress("opening the network at the samples")
        found = templates(opened.graph, batch.inputs[0], batch.labels, classes=classes)
    names = None if data.classes is None else tuple(map(one_line, data.classes))
    return Looked(found, chosen, names, opened.notes, request)


def write_results(
    looked: Looked, folder: Path | None, json_to: str | None, write: Write, *, figures: bool, centered: bool
) -> list[Path]:
    """Write a result where the user wants it; return the files."""

    def into(path: Path) -> list[Path]:
        looked.found.save(path, overwrite=True)
        files = [path / name for name in (INDEX, *FILES)]
        drawn = [path / f"templates.{kind}" for kind in ("svg", "png")]
        if not figures:
            for old in drawn:  # of an earlier run
                old.unlink(missing_ok=True)
            return files
        from splinegraph.export.graphs import save_figure

        ax = looked.found.plot(centered=centered)
        return [*files, *(save_figure(ax, file) for file in drawn)]

    return deliver_files(looked.to_dict(), "templates.json", into, folder, json_to, write)


def render(looked: Looked, console: Console | None = None) -> None:
    """Print a line per sample and class, and how templates differ from the optimal ones."""
    console = Console(highlight=False, markup=False, emoji=False) if console is None else console
    found = looked.found
    for note in looked.notes:
        console.print(Text(note, style="dim"))
    console.print()
    table = text_table(["sample", "label", "class"], ["f(x)", "<A, x>", "b", "|A|", "cos(A, x)", "centred"])
    labels = [""] * len(found) if found.labels is None else [looked.called(c) for c in found.labels.tolist()]
    columns = (found.scores, found.values, found.biases, found.norms, found.cosines, found.centered_cosines)
    rows = [(i, k) for i in range(len(found)) for k in range(len(found.classes))]

    def cells(place: tuple[int, int]) -> list[str]:
        i, k = place
        numbers = [f"{float(column[i, k]):.2f}" for column in columns]
        first = [str(looked.at[i]), labels[i]] if k == 0 else ["", ""]
        return [*first, looked.called(found.classes[k]), *["" if text == "nan" else text for text in numbers]]

    fill(console, table, rows, cells, "all of them: --json FILE")
    told = [
        f"{name.replace('_', ' ')} {value['mean']:.2f} ({value['optimum']:g})"
        for name, value in found.comparison.to_dict().items()
        if value["mean"] is not None
    ]
    if told:
        console.print(Text("  centred templates, and what is optimal: " + ", ".join(told), style="dim"))
    if found.kind == "tangent":
        console.print(Text("  tangents of a smooth network: they hold at the sample alone", style="yellow"))
