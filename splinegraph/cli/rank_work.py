"""The work, the files and the table of `splinegraph rank`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from splinegraph.analyses.templates.ranking import RankedNetwork, TemplateRanking, template_ranking
from splinegraph.analyses.templates.scores import SCORES, TemplateScores, template_scores
from splinegraph.cli.opening import is_attribute
from splinegraph.cli.output import Write, deliver_files
from splinegraph.cli.progress import stages
from splinegraph.cli.render_pieces import WIDE, fill, text_table
from splinegraph.cli.train_plan import data_of, own_network, paper_network
from splinegraph.cli.train_work import told_of
from splinegraph.tracers.modes import evaluating
from splinegraph.tracers.tracing import trace
from splinegraph.training.engine.randomness import seed_all

__all__ = ["Ranked", "ranked", "render", "write_results"]


@dataclass(frozen=True, eq=False)
class Ranked:
    """A ranking, and where it comes from.

    Parameters
    ----------
    ranking : TemplateRanking
    notes : tuple of str
    request : mapping
    """

    ranking: TemplateRanking
    notes: tuple[str, ...]
    request: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        request = {name: str(value) if isinstance(value, Path) else value for name, value in self.request.items()}
        request["networks"] = list(request["networks"])
        return {
            "format": "splinegraph rank 1", **self.ranking.to_dict(), "notes": list(self.notes), "request": request,
        }  # fmt: skip


def ranked(asked: Mapping[str, Any], *, command: str, quiet: bool) -> Ranked:
    """Score every network at every seed.

    Raises
    ------
    SplineGraphError
        If there is no such network, or one does not take the samples.
    """
    if len(set(asked["networks"])) < len(asked["networks"]):
        raise click.UsageError("a network is named twice")
    data = data_of({**asked, "download": False}, command)
    x, y = data.x_train[: asked["samples"]], data.y_train[: asked["samples"]]
    labels = y if bool((y >= 0).all()) else None
    scores: dict[str, list[TemplateScores]] = {}
    with stages(shown=not quiet) as progress:
        for name in asked["networks"]:
            make = paper_network(name, data) if _is_topology(name) else own_network(name, command)
            for draw in range(asked["seeds"]):
                progress(f"{name}, seed {asked['seed'] + draw}")
                seed_all(asked["seed"] + draw)
                net = make()
                with evaluating(net):
                    graph = trace(net, x[:2])
                    scores.setdefault(name, []).append(template_scores(graph, x, labels))
    notes = (
        told_of(data), f"{len(x)} training samples, {asked['seeds']} draws of the weights, no training",
        *(f"{name} has the same weights at each draw" for name, of in scores.items() if _fixed(of)),
    )  # fmt: skip
    return Ranked(template_ranking(scores, asked["by"]), notes, dict(asked))


def _fixed(scores: list[TemplateScores]) -> bool:
    """Whether draws of a user's network cannot be told apart, as where it loads its weights."""
    return len(scores) > 1 and all(found.values == scores[0].values for found in scores)


def _is_topology(name: str) -> bool:
    """Whether a name is meant as one of the paper's networks; a wrong one is refused with those near to it."""
    return not (is_attribute(name) or "." in name or Path(name).exists())


def write_results(
    found: Ranked, folder: Path | None, json_to: str | None, write: Write, *, figures: bool
) -> list[Path]:
    """Write a result where the user wants it; return the files."""

    def into(path: Path) -> list[Path]:
        drawn = [path / f"rank.{kind}" for kind in ("svg", "png")]
        if not figures:
            for old in drawn:  # of an earlier run
                old.unlink(missing_ok=True)
            return []
        from splinegraph.export.graphs import save_figure

        ax = found.ranking.plot()
        return [save_figure(ax, file) for file in drawn]

    return deliver_files(found.to_dict(), "rank.json", into, folder, json_to, write)


def render(found: Ranked, console: Console | None = None) -> None:
    """Print the networks, best first, with the spread over draws and, if there is room, the other scores."""
    console = Console(highlight=False, markup=False, emoji=False) if console is None else console
    ranking = found.ranking
    for note in found.notes:
        console.print(Text(note, style="dim"))
    console.print()
    others = [name for name in SCORES if name != ranking.by] if console.width >= WIDE else []
    table = text_table(["network"], [ranking.by, "±", *(name[:9] for name in others)])

    def cells(network: RankedNetwork) -> list[str]:
        mean = "none" if network.mean is None else f"{network.mean:.3f}"
        spread = "" if network.deviation is None else f"{network.deviation:.3f}"
        return [network.name, mean, spread, *(_mean(ranking.scores[network.name], name) for name in others)]

    fill(console, table, ranking.networks, cells, "all of them: --json FILE")
    console.print(Text(f"  {ranking.by}: {SCORES[ranking.by].meaning}; ±: deviation over draws", style="dim"))


def _mean(scores: tuple[TemplateScores, ...], name: str) -> str:
    known = [value for found in scores if (value := found.values[name]) is not None]
    return f"{sum(known) / len(known):.2f}" if known else ""
