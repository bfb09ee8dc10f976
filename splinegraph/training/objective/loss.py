"""The semi-supervised objective as a module, for anybody's training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.training.network import Encoded, SplineNetwork
from splinegraph.training.objective import settings as names
from splinegraph.training.objective import terms
from splinegraph.training.objective.losses import Losses
from splinegraph.training.objective.penalties import Constraints
from splinegraph.training.objective.presets import preset
from splinegraph.training.objective.settings import SOME_WEIGHT, Objective, layer_term

__all__ = ["SemiSupervisedLoss"]


class SemiSupervisedLoss(nn.Module):
    r"""Cross entropy on labelled rows, and what rows without labels can teach a network.

    .. math:: \alpha \, CE + (1-\alpha) [\beta R + (1-\beta) E] + \ldots

    CE is the cross entropy of labelled rows, R the error :math:`\|A[x]^T f(x) - x\|^2` of reconstructing inputs
    through the network's own spline, E the entropy of predictions; `Objective` has the other terms.

    Parameters
    ----------
    network : SplineNetwork or Module
        A network from inputs (B, *n) to logits (B, C).
    example : Tensor of shape (B, *n), optional
        To trace a plain module with.
    objective : Objective, optional
        Default: Eq 82 with alpha 0.7 and beta 0.5.
    **changes
        Fields of `Objective` to set otherwise: ``alpha=0.5``.

    Attributes
    ----------
    network : SplineNetwork
        Its parameters are the model's own.
    objective : Objective

    Raises
    ------
    SplineGraphError
        For a plain module without an example, an unknown option, or a weight out of its range.

    Notes
    -----
    One train-mode forward pass of all rows together, and one adjoint pass where R counts. With rows='unlabelled' the
    labelled rows are not pulled back; they go forward by themselves where the network is `divisible`.

    Terms of weight zero cost nothing: with alpha = 1 this is ``cross_entropy`` of the labelled rows, bit for bit.
    Every term is a mean over the rows that it applies to.

    Consistency takes one more forward pass, which moves the running statistics of batch norm once more.

    Under DistributedDataParallel wrap this module, so that all passes run inside its forward.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 80-85.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> loss = sg.training.SemiSupervisedLoss(model, torch.zeros(1, 4), alpha=0.7, beta=0.5)
    >>> losses = loss(torch.randn(2, 4), torch.tensor([0, 2]), torch.randn(5, 4), step=0)
    >>> losses.total.backward()
    >>> sorted(losses.terms)
    ['cross_entropy', 'entropy', 'reconstruction']
    """

    def __init__(
        self, network: nn.Module, example: Tensor | None = None, objective: Objective | None = None, **changes: Any
    ) -> None:
        super().__init__()
        self.objective = (Objective() if objective is None else objective).changed(**changes)
        if not isinstance(network, SplineNetwork):
            if example is None:
                raise SplineGraphError(
                    f"a plain {type(network).__name__} needs an example to be traced",
                    remedy="call SemiSupervisedLoss(model, example) with a batch of inputs, or give a SplineNetwork",
                )
            network = SplineNetwork(network, example, layers=self.objective.layers)
        self.network: SplineNetwork = network
        self._constraints: Constraints | None = None

    @classmethod
    def preset(
        cls, name: str, network: nn.Module, example: Tensor | None = None, *, steps: int = 1000, **changes: Any
    ) -> SemiSupervisedLoss:
        """Return the objective of a preset; see `splinegraph.training.PRESETS`.

        Parameters
        ----------
        name : str
            'paper', 'balanced', 'strong', ...
        network, example
            As in the class.
        steps : int
            Of the whole training, for the lengths of ramps.
        **changes
            Fields of `Objective` to set otherwise.
        """
        return cls(network, example, preset(name, steps=steps, **changes))

    def forward(
        self,
        x_labelled: Tensor | None,
        y: Tensor | None,
        x_unlabelled: Tensor | None = None,
        *,
        step: int = 0,
        weights: Mapping[str, float] | None = None,
    ) -> Losses:
        """Return the objective of a batch.

        Parameters
        ----------
        x_labelled : Tensor of shape (B, *n), or None
        y : Tensor of shape (B,), integers, or None
        x_unlabelled : Tensor of shape (M, *n), or None
            Either of the two batches may be empty; terms then apply to the rows there are.
        step : int
            For weights that change.
        weights : mapping of term to weight, optional
            In place of the objective's own (`WeightTuner` gives them); terms of weight zero are then worked out too.

        Raises
        ------
        ShapeError
            If batches do not fit each other or the network, or labels are no classes of it.
        SplineGraphError
            If no term applies to the rows there are.
        """
        wanted = self.objective.at(step) if weights is None else self.objective.checked(weights)
        labelled = 0 if x_labelled is None else len(x_labelled)
        if labelled == 0:
            wanted.pop(names.CROSS_ENTROPY, None)
        if labelled and not wanted.keys() - {names.CROSS_ENTROPY, names.CONTRACTION}:
            x_unlabelled = None  # no term reads them
        x = _together(x_labelled, x_unlabelled)
        first = labelled if self.objective.rows == "unlabelled" else 0
        if first == len(x):  # no rows for the others
            wanted = {name: wanted[name] for name in (names.CROSS_ENTROPY, names.CONTRACTION) if name in wanted}
        logits, encoded = self._encode(x, first, wanted)
        parts: dict[str, Tensor] = {}
        if names.CROSS_ENTROPY in wanted:
            parts[names.CROSS_ENTROPY] = F.cross_entropy(
                terms.wide(logits[:labelled]), _labels(y, labelled, logits.shape[1])
            )
        parts |= self._unsupervised(x[first:], encoded, wanted)
        if names.CONTRACTION in wanted:
            excess = self._limits(x).product_excess(self.objective.lipschitz)
            parts[names.CONTRACTION] = excess.to(terms.wide(logits).dtype)
        if not parts:
            if not (self.objective.at(step) if weights is None else any(weights.values())):
                raise SplineGraphError(f"all weights of the objective are zero at step {step}", remedy=SOME_WEIGHT)
            raise SplineGraphError(
                "no term of the objective applies to this batch",
                why=f"it has {labelled} labelled rows of {len(x)}, and the weights are {wanted}",
                remedy="give labelled rows, or unlabelled ones and an alpha below 1",
            )
        used = {name: wanted[name] for name in parts}
        total: Tensor = torch.stack([used[name] * part for name, part in parts.items()]).sum()
        return Losses(total, parts, used, logits.detach())

    def _encode(self, x: Tensor, first: int, wanted: Mapping[str, float]) -> tuple[Tensor, Encoded]:
        """Return the logits of all rows, and for those from `first` on the reconstructions that the terms need."""
        layers = tuple(layer for layer in self.objective.layers if layer_term(layer) in wanted)
        back, network = bool(layers) or names.RECONSTRUCTION in wanted, self.network
        if back and first and network.divisible:  # the rows before need no way back
            before = self._rows(network.logits(x[:first]))
            encoded: Encoded = network(x[first:], layers=layers)
            return torch.cat([before, encoded.logits]), encoded
        encoded = network(x, layers=layers) if back else Encoded(network.logits(x), x)
        return self._rows(encoded.logits), _from_row(encoded, first)

    @staticmethod
    def _rows(logits: Tensor) -> Tensor:
        """Return the logits, or refuse what are not rows of them."""
        if logits.dim() != 2:
            raise ShapeError(
                f"the network's outputs have shape {tuple(logits.shape)}", remedy="give one row of logits per input"
            )
        return logits

    def _unsupervised(self, x: Tensor, encoded: Encoded, wanted: Mapping[str, float]) -> dict[str, Tensor]:
        """Return the wanted terms that need no labels."""
        chosen, parts = self.objective, {}
        if names.RECONSTRUCTION in wanted:
            parts[names.RECONSTRUCTION] = terms.reconstruction_error(
                encoded.reconstruction, x, form=chosen.form, reduction=chosen.reduction
            )
        layers = [layer for layer in chosen.layers if layer_term(layer) in wanted]
        for layer, back, z in zip(layers, encoded.layer_reconstructions, encoded.values, strict=True):
            parts[layer_term(layer)] = terms.layer_error(back, z, target=chosen.target, reduction=chosen.reduction)
        if names.ENTROPY in wanted:
            parts[names.ENTROPY] = terms.entropy(encoded.logits)
        if names.BALANCE in wanted:
            parts[names.BALANCE] = terms.class_balance(encoded.logits)
        if names.CONSISTENCY in wanted:
            moved = self.network.logits(terms.shifted(x, chosen.shift))
            parts[names.CONSISTENCY] = terms.consistency(encoded.logits, moved, confidence=chosen.confidence)
        if names.TEMPLATES in wanted:
            parts[names.TEMPLATES] = self._limits(x).template_excess(x, chosen.energy)
        return parts

    def _limits(self, x: Tensor) -> Constraints:
        if self._constraints is None or not self._constraints.hold(self.network.model):
            self._constraints = Constraints(self.network.model, x[:1].detach(), float(self.objective.norm))
        return self._constraints


def _together(x_labelled: Tensor | None, x_unlabelled: Tensor | None) -> Tensor:
    """Return labelled rows, then unlabelled ones, as one batch."""
    batches = [x for x in (x_labelled, x_unlabelled) if x is not None and len(x)]
    if not batches:
        raise ShapeError("a batch without rows", remedy="give labelled or unlabelled inputs")
    shapes = [tuple(x.shape[1:]) for x in batches]
    if len(set(shapes)) > 1:
        raise ShapeError(f"labelled inputs of shape {shapes[0]} beside unlabelled ones of shape {shapes[1]}")
    return batches[0] if len(batches) == 1 else torch.cat(batches)


def _from_row(encoded: Encoded, first: int) -> Encoded:
    """Return what belongs to the rows from one on."""
    return Encoded(
        encoded.logits[first:], encoded.reconstruction[first:],
        tuple(z[first:] for z in encoded.values), tuple(r[first:] for r in encoded.layer_reconstructions),
    )  # fmt: skip


def _labels(y: Tensor | None, rows: int, classes: int) -> Tensor:
    """Return the labels, or refuse those that do not fit."""
    if y is None or tuple(y.shape) != (rows,) or y.is_floating_point() or y.dtype == torch.bool:
        found = "no labels" if y is None else f"labels of shape {tuple(y.shape)} and type {y.dtype}"
        raise ShapeError(f"{found} for {rows} labelled rows", remedy=f"give {rows} integers")
    # on other devices the look would wait for them at every step
    if y.device.type == "cpu" and not torch.compiler.is_compiling() and bool(((y < 0) | (y >= classes)).any()):
        raise ShapeError(
            f"labels from {int(y.min())} to {int(y.max())} for {classes} logits",
            remedy=f"give labels from 0 to {classes - 1}, or a network with an output for each class",
        )
    return y.long()
