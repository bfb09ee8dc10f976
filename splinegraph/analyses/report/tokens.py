"""Token ids as data of a network whose inputs are embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.report.random_inputs import embedded
from splinegraph.core.graph import Input, SplineGraph
from splinegraph.core.parameters import Context, Expression, leaves
from splinegraph.data.source import DataSource, Piece
from splinegraph.errors import DataError, one_line

__all__ = ["Embedded", "as_embeddings", "example_ids"]


def as_embeddings(graph: SplineGraph, source: DataSource, dtype: torch.dtype) -> DataSource:
    """Return embeddings in place of token ids, and any other data as they are.

    Raises
    ------
    DataError
        As in `example_ids`.
    """
    if len(source.dtypes) != 1 or source.dtypes[0].is_floating_point or source.shapes == graph.input_shapes:
        return source
    ids = example_ids(graph)
    return source if ids is None or source.shapes[0] != tuple(ids.shape[1:]) else Embedded(graph, source, ids, dtype)


def example_ids(graph: SplineGraph) -> Tensor | None:
    """Return the token ids that a graph was traced with; None where its inputs are not embeddings of one tensor.

    Raises
    ------
    DataError
        If the model computes more of them than embeddings, such as a mask of padding: that is part of the graph, so
        other ids would be looked at through the mask of the example.
    """
    if not graph.inputs or len(embedded(graph)) < len(graph.inputs):
        return None
    held = {id(leaf): leaf for name in graph.inputs for leaf in leaves(_value(graph, name)) if _whole(leaf)}
    if len(held) != 1:
        return None
    (ids,) = held.values()
    for node in graph.operators:
        if any(leaf is ids for leaf in leaves(node.operator)):
            raise DataError(
                "data cannot be token ids here", why=f"{node.where} depends on the ids of the example too",
                remedy="give samples one at a time by --input, or embedded ones as --data",
            )  # fmt: skip
    return ids


class Embedded(DataSource):
    """Token ids of another source, as rows of the embeddings.

    Parameters
    ----------
    graph : SplineGraph
    source : DataSource
        Of integers, shaped as the example's.
    ids : Tensor
        The example's, as in `example_ids`.
    dtype : torch.dtype
    """

    def __init__(self, graph: SplineGraph, source: DataSource, ids: Tensor, dtype: torch.dtype) -> None:
        self._graph, self._source, self._example, self._dtype = graph, source, ids, dtype
        super().__init__(
            source.name, graph.input_shapes, [dtype] * len(graph.inputs), length=source.length,
            labeled=source.labeled, classes=source.classes,
        )  # fmt: skip

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._source.notes, "the data are token ids: the inputs below are the rows of the embeddings")

    def _pieces(self, size: int) -> Iterator[Piece]:
        for (ids,), labels in self._source._pieces(size):
            yield self._rows_of(ids), labels

    def _rows(self, indices: Sequence[int]) -> Piece:
        (ids,), labels = self._source._rows(indices)
        return self._rows_of(ids), labels

    def _rows_of(self, ids: Tensor) -> tuple[Tensor, ...]:
        context = Context(self._dtype, None, len(ids))
        given = ids.to(self._example)
        try:
            with torch.no_grad():
                values = [_replaced(_value(self._graph, name), self._example, given) for name in self._graph.inputs]
                return tuple(context.value(value).cpu() for value in values)
        except (IndexError, RuntimeError) as error:
            low, high = (int(v) for v in torch.aminmax(ids))
            raise DataError(
                f"{self.name} holds token ids from {low} to {high}", why=one_line(str(error)),
                remedy="give ids below the number of rows of the embedding",
            ) from error  # fmt: skip


def _value(graph: SplineGraph, name: str) -> Any:
    held = graph[name].operator
    return held.value if isinstance(held, Input) else None


def _whole(leaf: Tensor) -> bool:
    """Whether it holds integers."""
    return not (leaf.is_floating_point() or leaf.is_complex() or leaf.dtype == torch.bool)


def _replaced(value: Any, old: Tensor, new: Tensor) -> Any:
    """Return an expression with one of its tensors replaced."""
    if value is old:
        return new
    if isinstance(value, Expression):
        return Expression(value.function, _replaced(value.args, old, new), _replaced(value.kwargs, old, new))
    if isinstance(value, (tuple, list)):
        return type(value)(_replaced(item, old, new) for item in value)
    if isinstance(value, dict):
        return {key: _replaced(item, old, new) for key, item in value.items()}
    return value
