"""The beginning and the end of a run: what the network was like, what became of it, and the report."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from splinegraph.analyses.report.values import jsonable
from splinegraph.core.files import make_folder, write_json, writing
from splinegraph.errors import SplineGraphError
from splinegraph.training.datasets.data import TrainingData
from splinegraph.training.engine import figures
from splinegraph.training.engine.advice import undivided
from splinegraph.training.engine.facts import SplineFacts, spline_facts
from splinegraph.training.engine.measuring import accuracy_of, confusion_of, predictions, reconstructions
from splinegraph.training.engine.processes import Processes
from splinegraph.training.engine.results import TrainingResult
from splinegraph.training.engine.run import Run

__all__ = ["REPORT", "Closing"]

REPORT = "report.json"
SHOWN = 4
"""Test samples whose reconstructions are drawn, as many as paper Fig 12 has."""


class Closing:
    """What a report needs of the initial weights, and the report.

    Parameters
    ----------
    run : Run
    processes : Processes
    data : TrainingData
    """

    def __init__(self, run: Run, processes: Processes, data: TrainingData) -> None:
        self.run, self.processes, self.data = run, processes, data
        self.before: SplineFacts | None = None
        self.images_before: Tensor | None = None
        self.notes: list[str] = []

    @property
    def probe(self) -> Tensor:
        """The first test samples."""
        return self.run.data.x_test[: self.run.settings.probe]

    def begin(self) -> None:
        """Look at the initial weights."""
        if not self.processes.first or not len(self.probe):
            return
        self.before = self._facts()
        self.images_before = reconstructions(self.run.loss.network, self.probe[:SHOWN]).cpu()

    def _facts(self) -> SplineFacts:
        try:
            graph = self.run.loss.network.graph
        except SplineGraphError as error:
            return SplineFacts(len(self.probe), notes=(str(error),))
        return spline_facts(graph, self.probe, budget=self.run.settings.facts_budget)

    def warn(self, note: str) -> None:
        """Keep a note for the report, if it is one, and say it."""
        if note and note not in self.notes:
            self.notes.append(note)
            if self.processes.first:
                warnings.warn(note, stacklevel=4)

    def finish(
        self, out: Path | None, callbacks: Sequence[Callable[[int], object]], *, complete: bool
    ) -> TrainingResult:
        """Put the chosen weights into the model, which is left in evaluation mode, measure them, and report."""
        run, network, data = self.run, self.run.loss.network, self.run.data
        chosen = run.settle()
        network.eval()
        predicted = predictions(network, data.x_test)
        if complete:
            self.warn(undivided(predicted, data.y_test.to(predicted.device)))
        error = images = None
        if len(self.probe):
            rebuilt = reconstructions(network, self.probe)
            error = float((rebuilt - self.probe).double().square().mean())
            images = rebuilt[:SHOWN].cpu()
        result = TrainingResult(
            complete=complete, step=run.step, steps=run.steps, chosen=chosen,
            accuracy=accuracy_of(predicted, data.y_test), validation=run.validation(),
            confusion=confusion_of(predicted, data.y_test, data.classes), curve=tuple(run.curve),
            reconstruction_error=error, before=self.before,
            after=self._facts() if self.processes.first and len(self.probe) else None,
            settings=run.settings, model=self._model(), data=self._data(), seconds=run.seconds,
            device=str(self.processes.device), folder=out,
            notes=tuple(self.notes), callbacks=tuple(jsonable(c.to_dict()) for c in callbacks if hasattr(c, "to_dict")),
        )  # fmt: skip
        if out is not None and self.processes.first:
            self._write(result, make_folder(out), images)
        return result

    def _model(self) -> dict[str, Any]:
        model = self.run.model
        return {"name": type(model).__name__, "parameters": sum(p.numel() for p in model.parameters())}

    def _data(self) -> dict[str, Any]:
        draw = self.run.draw
        return {
            "name": self.data.name, "checksum": self.data.checksum, "classes": self.data.classes,
            "train": len(self.data.x_train), "test": len(self.data.x_test), "labelled": len(draw.labelled),
            "validation": len(draw.validation), "unlabelled": len(draw.unlabelled),
        }  # fmt: skip

    def _write(self, result: TrainingResult, folder: Path, images: Tensor | None) -> None:
        write_json(result, folder / REPORT)
        if not self.run.settings.figures:
            return
        drawn: dict[str, Any] = {"confusion": figures.plot_confusion(result.confusion, self.data.names or None).figure}
        if result.curve:
            losses = [point.losses for point in result.curve]
            drawn["accuracy"] = result.plot().figure
            drawn["losses"] = figures.plot_losses([point.step for point in result.curve], losses).figure
        if images is not None and images.dim() == 4:
            columns = {} if self.images_before is None else {"before": self.images_before}
            inputs = self.probe[:SHOWN].cpu()
            drawn["reconstructions"] = figures.plot_reconstructions(inputs, {**columns, "after": images})
        for name, figure in drawn.items():
            with writing(folder / f"{name}.png") as file:
                figure.savefig(file, format="png", dpi=120)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds of the initial weights."""
        return {
            "before": None if self.before is None else self.before.to_dict(), "images": self.images_before,
            "notes": list(self.notes),
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take it back."""
        before = state["before"]
        self.before = None if before is None else SplineFacts(**{**before, "notes": tuple(before["notes"])})
        self.images_before = state["images"]
        self.notes = list(state["notes"])
