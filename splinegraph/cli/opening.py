"""From what a user typed to a checked graph and its data."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from splinegraph.analyses.report.tokens import as_embeddings
from splinegraph.cli.progress import Stages
from splinegraph.cli.request import Request
from splinegraph.core.graph import SplineGraph
from splinegraph.data.reading import read_data
from splinegraph.data.source import DataSource
from splinegraph.errors import DataError, one_line
from splinegraph.tracers.loading import Loaded, example_inputs, load, load_object, logits, normalized
from splinegraph.tracers.tracing import trace

__all__ = ["Opened", "is_attribute", "open_graph"]


@dataclass(frozen=True, eq=False)
class Opened:
    """A graph, the data to look at it with, and where both come from.

    Parameters
    ----------
    graph : SplineGraph
    data : DataSource or None
        As they were given; see `samples`.
    notes : tuple of str
    """

    graph: SplineGraph
    data: DataSource | None
    notes: tuple[str, ...]

    def samples(self, data: DataSource | None = None) -> DataSource | None:
        """Return the data, or others, as inputs of the graph: rows of its embeddings in place of token ids.

        Raises
        ------
        DataError
            If the data are token ids, which the network reads elsewhere, too.
        """
        data = self.data if data is None else data
        return None if data is None else as_embeddings(self.graph, data, torch.float64)


def open_graph(request: Request, *, trust: bool, command: str, progress: Stages) -> Opened:
    """Load a model and its data, trace it, and put around it what was asked for.

    What the user's code prints goes to stderr: stdout belongs to the result. Weights that it draws at random
    are the same each time.
    """
    notes: list[str] = []
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(request.seed)
    with _warnings_as(notes), contextlib.redirect_stdout(sys.stderr):
        progress("loading")
        loaded = load(request.target, trust=trust, weights=request.weights, command=command)
        data = _data(request, command)
        example, origin = _example(request, loaded, data)
        if loaded.was_training and isinstance(loaded.model, nn.Module):
            notes.append("the model was in training mode and was put in eval mode")
            loaded.model.eval()
        progress("tracing")
        graph = trace(loaded.model, example)
    if loaded.kind in ("onnx", "pt2") and loaded.path is not None:  # these have no class to be named after
        graph = dataclasses.replace(graph, name=loaded.path.stem, _cache={})
    graph = normalized(graph, request.mean, request.std) if request.mean or request.std else graph
    if request.output == "logits":
        graph, split = logits(graph)
        notes.extend(split)
    known = any(note.startswith("model: ") for note in loaded.notes)
    where = [] if known else [f"model: {request.target}"]
    return Opened(graph, data, tuple(map(one_line, (*where, *loaded.notes, *([] if data else [origin]), *notes))))


def _data(request: Request, command: str) -> DataSource | None:
    if request.data is None:
        return None
    sides = request.image_size
    size = (sides[0], sides[-1]) if sides else None
    if size is not None and not Path(request.data).is_dir():
        raise DataError(f"{request.data} is no folder of images", remedy="leave out --image-size")
    if is_attribute(request.data):
        return read_data(
            load_object(request.data, command=f"{command} {request.target} --data"),
            name=request.data,
            limit=request.limit,
        )
    return read_data(request.data, limit=request.limit, image_size=size)


def is_attribute(text: str) -> bool:
    """Whether a text is file.py:attribute, and no path."""
    head, colon, attribute = text.rpartition(":")
    return bool(colon and head) and attribute.replace(".", "_").isidentifier() and not Path(text).exists()


def _example(request: Request, loaded: Loaded, data: DataSource | None) -> tuple[tuple[Any, ...], str]:
    """Return one sample per input of the model, and where it comes from."""
    if data is None:
        return example_inputs(loaded, shapes=request.shapes, given=request.inputs, seed=request.seed)
    if request.shapes and request.shapes != data.shapes:
        raise DataError(
            f"samples of {data.name} have shape {' and '.join(map(str, data.shapes))}",
            why=f"--input-shape is {' and '.join(map(str, request.shapes))}", remedy="give data of that shape",
        )  # fmt: skip
    first = data.take(1)
    rows: tuple[Tensor, ...] = next(iter(first.batches(1))).inputs
    return example_inputs(loaded, shapes=(), given=request.inputs, data=rows, seed=request.seed)


@contextlib.contextmanager
def _warnings_as(notes: list[str]) -> Iterator[None]:
    """Keep warnings meant for users as notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    texts = [f"warning: {w.message}" for w in caught if issubclass(w.category, UserWarning | RuntimeWarning)]
    notes.extend(dict.fromkeys(texts))
