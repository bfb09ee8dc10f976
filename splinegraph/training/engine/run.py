"""The state of a run: what one step changes, and what a checkpoint holds."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from splinegraph.errors import SplineGraphError
from splinegraph.tracers.modes import evaluating
from splinegraph.training.datasets.batches import Loaders
from splinegraph.training.datasets.data import TrainingData
from splinegraph.training.datasets.labels import LabelDraw
from splinegraph.training.engine.averaging import MovingAverage
from splinegraph.training.engine.measuring import accuracy_of, predictions
from splinegraph.training.engine.processes import Processes
from splinegraph.training.engine.randomness import random_state, restore_random_state, seed_all
from splinegraph.training.engine.results import Measured
from splinegraph.training.engine.settings import Settings
from splinegraph.training.engine.undoing import Before
from splinegraph.training.objective import SemiSupervisedLoss, WeightTuner

__all__ = ["Run"]


class Run:
    """A network on its way: weights, optimizer, average, batches, curve.

    Parameters
    ----------
    loss : SemiSupervisedLoss
    data : TrainingData
        On the device of the run.
    draw : LabelDraw
    batches : Loaders
        Of rows of the training set, the same in all processes.
    settings : Settings
    processes : Processes
    """

    def __init__(
        self,
        loss: SemiSupervisedLoss,
        data: TrainingData,
        draw: LabelDraw,
        batches: Loaders,
        settings: Settings,
        processes: Processes,
    ) -> None:
        self.loss, self.data, self.draw, self.batches = loss, data, draw, batches
        self.settings, self.processes = settings, processes
        self.module = processes.wrap(loss)
        self.steps = settings.steps_of(batches.steps)
        kind = torch.optim.AdamW if settings.weight_decay else torch.optim.Adam
        self.optimizer = kind(self.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self.average = None if settings.average is None else MovingAverage(self.model, settings.average)
        self.tuner: WeightTuner | None = None
        if settings.tune is not None:
            self.tuner = WeightTuner(self.parameters, loss.objective.at(self.steps - 1), rate=settings.tune)
        self.step = 0
        self.seconds = 0.0
        self.curve: list[Measured] = []
        self.best: dict[str, Any] | None = None
        self.sums: dict[str, tuple[float, int]] = {}

    @property
    def model(self) -> nn.Module:
        """The user's own model."""
        return self.loss.network.model

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is trained."""
        return [p for p in self.model.parameters() if p.requires_grad]

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return self.settings.rate(self.step, self.steps)

    def advance(self) -> dict[str, float]:
        """Take a step, and return the total and the terms of the loss.

        Raises
        ------
        SplineGraphError
            If a term, or the gradient of a parameter, is NaN or infinite. After this and other errors, but those of the
            optimizer itself, the run is as it was before the step.
        """
        before = Before(self, weights=self.tuner is not None)  # a tuner measures after the weights have changed
        share = self.processes.share
        try:
            labelled, unlabelled = self.batches.next()
            values = self.attempt(self.module, share(labelled), None if unlabelled is None else share(unlabelled))
        except BaseException:
            before.restore()
            raise
        values = self._mean(values)
        self.step += 1
        for name, value in values.items():
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = total + value, count + 1
        return values

    def attempt(self, module: nn.Module, labelled: Tensor, unlabelled: Tensor | None) -> dict[str, float]:
        """Change the weights by one step on these rows of the training set.

        `module` is the loss, or what averages its gradients over processes.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate
        self.optimizer.zero_grad(set_to_none=True)
        others = None if unlabelled is None else self.rows(unlabelled)[0]
        weights = None if self.tuner is None else self.tuner.weights
        with self._precision():
            losses = module(*self.rows(labelled), others, step=self.step, weights=weights)
        if self.tuner is not None:
            self.tuner.before_step(losses.parts)
        losses.total.backward()
        self._check_all_used(module)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        losses.check(self.step)
        values: dict[str, float] = losses.values()
        if not bool(torch.isfinite(norm)):
            raise self._spoilt(values)
        if self.settings.clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.settings.clip, norm)
        self.optimizer.step()
        if self.tuner is not None:
            x, y = self.rows(self.draw.validation)
            with evaluating(self.loss.network):  # held-out samples leave no trace in batch statistics
                held_out = nn.functional.cross_entropy(self.loss.network.logits(x), y)
            self.tuner.after_step(held_out, self.rate)
        if self.average is not None:
            self.average.update()
        return values

    def rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs and labels of some rows of the training set."""
        rows = rows.to(self.data.x_train.device)
        return self.data.x_train[rows], self.data.y_train[rows]

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        if self.settings.precision != "bfloat16":
            return contextlib.nullcontext()
        return torch.autocast(self.processes.device.type, dtype=torch.bfloat16)

    def _mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the mean of the terms over all processes."""
        if self.processes.count == 1:
            return dict(values)
        own = torch.tensor(list(values.values()), dtype=torch.float64, device=self.processes.device)
        means = self.processes.mean(own)
        return dict(zip(values, means.tolist(), strict=True))

    def _check_all_used(self, module: nn.Module) -> None:
        """Refuse a parameter without a gradient where processes wait for that of each other."""
        if module is self.loss:
            return
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad and parameter.grad is None:
                raise SplineGraphError(
                    f"the parameter {name!r} has no part in the loss", where=f"step {self.step}",
                    why="several processes wait for each other's gradient of every parameter",
                    remedy="remove it, set its requires_grad to False, or train in one process",
                )  # fmt: skip

    def _spoilt(self, values: Mapping[str, float]) -> SplineGraphError:
        """Return the error for a gradient that is no number while the loss is one."""
        bad = [n for n, p in self.model.named_parameters() if p.grad is not None and not bool(p.grad.isfinite().all())]
        terms = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        return SplineGraphError(
            f"the gradient of {bad[0] if bad else 'all parameters together'!r} is NaN or infinite",
            where=f"step {self.step}",
            why=f"the loss is finite: {terms}",
            remedy="lower the learning rate, or give a smaller clip; resume goes on from the last checkpoint",
        )

    # measuring

    def accuracy(self, x: Tensor, y: Tensor) -> float:
        """Return the share of samples that the present weights classify right."""
        return accuracy_of(predictions(self.loss.network, x), y)

    def validation(self) -> float | None:
        """Return the same of the validation labels; None if there are none."""
        return self.accuracy(*self.rows(self.draw.validation)) if len(self.draw.validation) else None

    def measure(self) -> Measured:
        """Measure accuracies, and keep the weights if they are the best so far by what the settings say."""
        with contextlib.nullcontext() if self.average is None else self.average.applied():
            accuracy = self.accuracy(self.data.x_test, self.data.y_test)
            validation = self.validation()
            means = {name: total / count for name, (total, count) in self.sums.items()}
            found = Measured(self.step, accuracy, validation, self._score(means), means)
            self._keep_best(found)
        self.curve.append(found)
        self.sums = {}
        return found

    def _score(self, means: Mapping[str, float]) -> float | None:
        """Return the unsupervised part of the loss, weighted as at the last step."""
        weights = self.loss.objective.at(self.steps - 1)
        weights.pop("cross_entropy", None)
        if not weights or not weights.keys() <= means.keys():
            return None
        return sum(weight * means[name] for name, weight in weights.items())

    def _keep_best(self, found: Measured) -> None:
        if self.settings.select == "last":
            return
        score = None if found.score is None else -found.score
        merit = found.validation if self.settings.select == "validation" else score
        if merit is not None and (self.best is None or merit >= self.best["merit"]):
            weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            self.best = {"merit": merit, "step": self.step, "weights": weights}

    def settle(self) -> int:
        """Put the weights that are the result into the model, and return their step."""
        if self.best is not None:
            self.model.load_state_dict(self.best["weights"])
            return int(self.best["step"])
        if self.average is not None:
            self.model.load_state_dict(self.average.shadow)
        return self.step

    # saving

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the steps to come depend on; all processes have to ask."""
        return {
            "step": self.step,
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "tuner": None if self.tuner is None else self.tuner.state_dict(),
            "best": self.best,
            "batches": self.batches.state_dict(),
            "random": self.processes.gathered(random_state()),
            "curve": [point.to_dict() for point in self.curve],
            "sums": self.sums,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to where a state was taken."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self.tuner is not None:
            self.tuner.load_state_dict(state["tuner"])
        self.best, self.sums = state["best"], dict(state["sums"])
        self.batches.load_state_dict(state["batches"])
        self.curve = [Measured(**point) for point in state["curve"]]
        if len(state["random"]) == self.processes.count:
            restore_random_state(state["random"][self.processes.rank])
        else:
            seed_all(self.settings.seed + self.step + self.processes.rank)
