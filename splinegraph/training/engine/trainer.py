"""`Trainer`: the loop around a run, which saves, resumes, stops on Ctrl-C and reports."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from splinegraph.analyses.regions.interrupts import stopping
from splinegraph.core.files import check_folder, make_folder
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.tracers.modes import evaluating
from splinegraph.training.datasets.batches import Loaders, loaders
from splinegraph.training.datasets.data import TrainingData
from splinegraph.training.datasets.labels import LabelDraw, draw_labels
from splinegraph.training.engine.advice import one_class, probabilities, swamped
from splinegraph.training.engine.checkpoints import architecture, check_belongs, load_checkpoint, save_checkpoint
from splinegraph.training.engine.closing import Closing
from splinegraph.training.engine.compiling import compiling
from splinegraph.training.engine.memory import is_out_of_memory, too_large
from splinegraph.training.engine.metrics import Metrics
from splinegraph.training.engine.processes import join
from splinegraph.training.engine.randomness import random_state, restore_random_state, seed_all
from splinegraph.training.engine.results import Progress, TrainingResult
from splinegraph.training.engine.run import Run
from splinegraph.training.engine.settings import Settings
from splinegraph.training.engine.undoing import Before
from splinegraph.training.network import SplineNetwork
from splinegraph.training.network.encoding import first_output
from splinegraph.training.objective import SemiSupervisedLoss
from splinegraph.training.objective.settings import RECONSTRUCTION

__all__ = ["CHECKPOINT", "METRICS", "Trainer"]

CHECKPOINT, METRICS = "checkpoint.pt", "metrics.jsonl"
"""Files in the folder of a run, besides `report.json` and the figures."""

PROBES = 2
"""Training samples that the outputs are looked at on, before anything is trained."""


class Trainer:
    """Trains a classifier with few labels and many inputs without.

    Parameters
    ----------
    model : nn.Module
        From inputs (B, *n) to logits (B, C). It is moved to the device and precision of the settings, and holds the
        result afterwards.
    data : TrainingData
    settings : Settings, optional
    out : path, optional
        Folder for checkpoints, metrics, report and figures; without one nothing is written.
    resume : bool
        Go on from the checkpoint in `out`.
    progress : callable, optional
        Gets a `Progress` after every step, in the first process.
    callbacks : sequence of callable
        Get the number of steps taken after every step, such as a `RegionTracker`. The report holds what those with a
        `to_dict` tell.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C was pressed while it trained; it may have taken all its steps nevertheless.

    Raises
    ------
    SplineGraphError
        If the settings do not fit the data or the processes, there is no such device, or a checkpoint is of another
        model, settings or data.
    ShapeError
        If the model does not take the samples, or has not an output for each class.
    DataError
        If the folder cannot be written to, or there is no checkpoint to resume.

    Notes
    -----
    On the CPU a run that was interrupted and resumed ends with the same weights, bit for bit, as one that was not.
    Under torchrun every process takes its share of each batch, and gradients are averaged: the same as one process up
    to rounding, where batches are divisible; batch norm has the statistics of each share.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> data = sg.training.load_data("digits")
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> settings = sg.training.Settings(steps=20, probe=0)
    >>> sg.training.Trainer(model, data, settings).fit().complete
    True
    """

    def __init__(
        self,
        model: nn.Module,
        data: TrainingData,
        settings: Settings | None = None,
        out: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        progress: Callable[[Progress], object] | None = None,
        callbacks: Sequence[Callable[[int], object]] = (),
    ) -> None:
        self.settings = settings = Settings() if settings is None else settings
        self.out = None if out is None else Path(out)
        self.processes = join(settings.device)
        if settings.tune is not None and self.processes.count > 1:
            raise SplineGraphError("tune= with several processes", remedy="use one process, or leave tune out")
        self.progress, self.callbacks = progress, tuple(callbacks)
        self.resume, self._used = resume, False
        self.interrupted = False
        if resume and self.out is None:
            raise SplineGraphError("resume without a folder", remedy="give out=, the folder of the run")
        if self.out is not None:
            check_folder(self.out, METRICS)
        self.identity = f"{data.name} {data.checksum}"
        self.run = self._prepared(model, data)
        self.closing = Closing(self.run, self.processes, data)
        self._check_outputs()

    def _prepared(self, model: nn.Module, data: TrainingData) -> Run:
        """Return the run with everything on its device."""
        settings, device = self.settings, self.processes.device
        images = settings.channels_last and data.x_train.dim() == 4
        layout = torch.channels_last if images else torch.preserve_format
        model.to(device, settings.dtype)
        if images:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stubs lack it
        model.train()
        if not any(p.requires_grad for p in model.parameters()):
            raise SplineGraphError("the model has no parameters to train", remedy="set requires_grad=True on some")
        draw = draw_labels(
            data.y_train, settings.labels, settings.draw, validation=settings.validation, classes=data.classes
        )
        batches = self._batches(draw)
        x_train, x_test = (x.to(device, settings.dtype, memory_format=layout) for x in (data.x_train, data.x_test))
        y_train, y_test = data.y_train.to(device), data.y_test.to(device)
        data = dataclasses.replace(data, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
        network = SplineNetwork(model, data.x_train[:2], inverse=settings.inverse)
        steps = settings.steps_of(batches.steps)
        loss = SemiSupervisedLoss.preset(settings.preset, network, steps=steps, **settings.objective)
        if settings.compile:
            network.compile()
        return Run(loss, data, draw, batches, settings, self.processes)

    def _check_outputs(self) -> None:
        network, data = self.run.loss.network, self.run.data
        x = data.x_train[:PROBES]
        with torch.no_grad(), evaluating(network):
            outputs = first_output(network.model(x))
        if tuple(outputs.shape) != (len(x), data.classes):
            raise ShapeError(
                f"the model turns {len(x)} samples into a tensor of shape {tuple(outputs.shape)}",
                why=f"{data.name} has {data.classes} classes",
                remedy=f"give a model with {data.classes} outputs",
            )
        self.closing.warn(probabilities(outputs))
        self.closing.warn(one_class(data))

    def _check_error(self, values: dict[str, float]) -> None:
        """Warn after the first step of an error that swamps the other terms."""
        run = self.run
        if RECONSTRUCTION in values:
            objective = run.loss.objective
            weight = max(objective.at(step).get(RECONSTRUCTION, 0.0) for step in (0, run.steps // 2, run.steps - 1))
            self.closing.warn(swamped(values[RECONSTRUCTION], weight, run.data.x_train, objective))

    def _batches(self, draw: LabelDraw) -> Loaders:
        """Return the batches; an epoch has as many for the supervised baseline as for what it is compared with."""
        settings = self.settings
        alone = settings.supervised and not len(draw.unlabelled)
        found = loaders(
            draw, labelled_batch=settings.labelled_batch, unlabelled_batch=0 if alone else settings.unlabelled_batch,
            seed=settings.seed,
        )  # fmt: skip
        self.processes.check(labelled_batch=found.labelled.size)
        if found.unlabelled is not None:
            self.processes.check(unlabelled_batch=found.unlabelled.size)
        return found

    def fit(self) -> TrainingResult:
        """Train to the end, or until Ctrl-C, and report.

        Returns
        -------
        TrainingResult
            With ``complete=False`` after Ctrl-C: the checkpoint is of that moment, and the result of its weights.

        Raises
        ------
        SplineGraphError
            If the loss or a gradient becomes NaN or infinite, which names the step and the term, memory is too
            small, which says what batch would fit, or `torch.compile` fails. The last checkpoint stays.
        DataError
            If the disk is full; nothing is half-written.
        """
        if self._used:
            raise SplineGraphError("this trainer has trained", remedy="make another one, with resume=True to go on")
        self._used = True
        with compiling(self.settings.compile, retained=self.settings.tune is not None):
            return self._fit()

    def _fit(self) -> TrainingResult:
        run = self.run
        if self.resume:
            self._restore()
        else:
            with _undisturbed():
                self.closing.begin()
            seed_all(self.settings.seed + self.processes.rank)
        metrics = self._metrics()
        asked: list[bool] = []
        try:
            with stopping(lambda: asked.append(True)):
                self._loop(metrics, asked)
        finally:
            if metrics is not None:
                metrics.close()
        self.interrupted = self.processes.any(bool(asked))
        with _undisturbed():
            return self.closing.finish(self.out, self.callbacks, complete=run.step == run.steps)

    def _loop(self, metrics: Metrics | None, asked: list[bool]) -> None:
        run, settings = self.run, self.settings
        measure_every = settings.evaluate_every or run.batches.steps
        save_every = settings.checkpoint_every or run.batches.steps
        began, before, first = time.monotonic(), run.seconds, run.step
        while run.step < run.steps and not self.processes.any(bool(asked)):
            rate = run.rate
            values = self._advance()
            if run.step == 1:
                self._check_error(values)
            run.seconds = before + time.monotonic() - began
            last = run.step == run.steps
            if run.step % measure_every == 0 or last:
                self._measure(metrics, rate)
            if run.step % save_every == 0 and not last:
                self._save()
            if self.callbacks:
                with _undisturbed():
                    for callback in self.callbacks:
                        callback(run.step)
            self._tell(values, rate, (time.monotonic() - began) / (run.step - first))
        if run.step > first:
            self._save()

    def _advance(self) -> dict[str, float]:
        """Take a step; where memory is too small, find out what fits."""
        try:
            return self.run.advance()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            why = str(error).partition("\n")[0].partition(". ")[0] or type(error).__name__
        run, batches = self.run, self.run.batches
        labelled, others = run.draw.labelled, run.draw.unlabelled
        unlabelled = 0 if batches.unlabelled is None else batches.unlabelled.size

        def attempt(n: int, m: int) -> None:
            rows = [draw[: size // self.processes.count] for draw, size in ((labelled, n), (others, m))]
            before = Before(run, weights=True)
            try:
                run.attempt(run.loss, rows[0], rows[1] if m else None)  # alone: the other processes do not take part
            finally:
                before.restore()

        raise too_large(
            attempt, batches.labelled.size, unlabelled, step=run.step, device=self.processes.device, why=why
        )

    def _measure(self, metrics: Metrics | None, rate: float) -> None:
        if not (self.processes.first or self.settings.select != "last"):
            return
        with _undisturbed():
            found = self.run.measure()
        if metrics is not None:
            row = {**found.to_dict(), "epoch": found.step / self.run.batches.steps, "rate": rate}
            metrics.write({**row, "seconds": round(self.run.seconds, 3)})

    def _tell(self, values: dict[str, float], rate: float, pace: float) -> None:
        if self.progress is None or not self.processes.first:
            return
        run = self.run
        last = run.curve[-1] if run.curve else None
        self.progress(
            Progress(
                run.step, run.steps, run.step / run.batches.steps, values, rate,
                None if last is None else last.accuracy, None if last is None else last.validation,
                run.seconds, pace * (run.steps - run.step),
            )
        )  # fmt: skip

    # files

    def _metrics(self) -> Metrics | None:
        if self.out is None or not self.processes.first:
            return None
        return Metrics(make_folder(self.out) / METRICS, keep=self.run.step if self.resume else -1)

    def _save(self) -> None:
        """Write the checkpoint; all processes take part in gathering it."""
        if self.out is None:
            return
        state = self.run.state_dict()
        if self.processes.first:
            more: dict[str, Any] = {
                "architecture": architecture(self.run.model), "settings": self.settings.to_dict(),
                "data": self.identity, "closing": self.closing.state_dict(),
            }  # fmt: skip
            save_checkpoint({**state, **more}, make_folder(self.out) / CHECKPOINT)

    def _restore(self) -> None:
        assert self.out is not None
        path = self.out / CHECKPOINT
        state = load_checkpoint(path, "cpu")
        check_belongs(state, path, model=self.run.model, settings=self.settings, data=self.identity)
        self.closing.load_state_dict(state["closing"])
        self.run.load_state_dict(state)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave the random generators as they are: what is looked at does not change what is trained."""
    state = random_state()
    try:
        yield
    finally:
        restore_random_state(state)
