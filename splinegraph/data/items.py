"""What an item of a dataset is made of: inputs, and perhaps a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.data.source import Piece, dtype_name, unused
from splinegraph.data.wrappers import as_labels
from splinegraph.errors import DataError

__all__ = ["ItemKeys", "ItemReader", "kind_name"]

INPUTS = ("x", "X", "inputs", "pixel_values", "input_values", "image", "images", "img", "input_ids")
LABELS = ("y", "labels", "label", "target", "targets")
"""Keys of items that are dicts, in the order in which they are looked for."""

ItemKeys = Sequence[str | int]
"""Which entries of an item are the inputs of the network: keys of a dict, or places in a tuple."""


class ItemReader:
    """Says which entries of a collated batch are inputs and labels, from the first sample."""

    def __init__(self, name: str, first: Any, inputs: ItemKeys | None, label: str | int | None) -> None:
        self.name = name
        self.notes: tuple[str, ...] = ()
        self.inputs, self.label = _choose(name, first, inputs, label)
        _, labels = self(first)
        if self.label is not None and labels is None:
            y = self._entry(first, self.label)
            kind = f"{dtype_name(y.dtype)} {tuple(y.shape[1:])}" if isinstance(y, Tensor) else kind_name(y)
            what = f"entry {self.label!r}" if isinstance(self.label, str) else f"entry {self.label}"
            guessed = label is None and inputs is None and not isinstance(first, Mapping)
            if guessed and isinstance(y, Tensor) and y.dim() > 1:
                self.inputs, done = [*self.inputs, self.label], "taken as an input"
            else:
                done = "left out"
            self.notes = (f"{what} of each sample is {kind}: no class, so it is {done}",)
            self.label = None
        if isinstance(first, Mapping):
            self.notes += unused({str(key) for key in first} - {str(key) for key in (*self.inputs, self.label)})

    def _entry(self, batch: Any, key: str | int | None) -> Any:
        if key is None:
            return batch
        try:
            return batch[key]
        except (KeyError, IndexError, TypeError) as error:
            held = ", ".join(map(str, batch)) if isinstance(batch, Mapping) else f"{len(batch)} entries"
            raise DataError(f"a sample of {self.name} has no entry {key!r}", why=f"it has {held}") from error

    def __call__(self, batch: Any) -> Piece:
        inputs = []
        for key in self.inputs:
            x = self._entry(batch, key)
            if not isinstance(x, Tensor) or x.is_complex():
                raise DataError(
                    f"a sample of {self.name} holds a {kind_name(x)}", remedy="give tensors, such as by a transform",
                )  # fmt: skip
            if not x.dim():
                raise DataError(f"a batch of {self.name} has no axis for the samples")
            inputs.append(x.detach())
        if self.label is None:
            return tuple(inputs), None
        y = self._entry(batch, self.label)
        y = torch.tensor(y) if isinstance(y, list) and y and all(isinstance(v, int) for v in y) else y
        plain = isinstance(y, Tensor) and not y.is_floating_point() and not y.is_complex()
        if plain and (y.dim() == 1 or (y.dim() == 2 and y.shape[1] == 1)):
            return tuple(inputs), as_labels(y)
        return tuple(inputs), None


def kind_name(value: Any) -> str:
    """Return 'torch.Tensor' for a tensor: the package and the type."""
    return f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}".removeprefix("builtins.")


def _choose(
    name: str, first: Any, inputs: ItemKeys | None, label: str | int | None
) -> tuple[Sequence[str | int | None], str | int | None]:
    """Return the keys of the inputs and of the label in a collated batch."""
    if isinstance(first, Mapping):
        names = list(first)
        found = list(inputs) if inputs else [k for k in INPUTS if k in names][:1]
        if not found:
            others = [k for k in names if k not in LABELS]
            if len(others) != 1:
                raise DataError(
                    f"the inputs in a sample of {name} are not known", why=f"it has {', '.join(map(str, names))}",
                    remedy=f"name one of them {INPUTS[0]}",
                )  # fmt: skip
            found = others
        chosen = label if label is not None else next((k for k in LABELS if k in names and k not in found), None)
        return found, chosen
    if isinstance(first, (tuple, list)):
        if not first:
            raise DataError(f"a sample of {name} is empty")
        places = list(inputs) if inputs else list(range(max(1, len(first) - 1)))
        last = len(first) - 1
        return places, label if label is not None else last if last not in places else None
    return [None], None
