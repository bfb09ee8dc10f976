from __future__ import annotations

import pytest
import torch

from splinegraph.core.layout import BatchLayout

B = 3


def batch(*shape: int) -> torch.Tensor:
    """Return values of shape (B, *shape) that start with their sample's number."""
    value = torch.arange(float(B)).reshape(B, *(1,) * len(shape)).expand(B, *shape)
    return value.contiguous()


def owner(value: torch.Tensor, layout: BatchLayout) -> list[float]:
    """Return the sample that each row belongs to, NaN if a row mixes samples."""
    rows = layout.samples_first(value).flatten(1)
    return [float(row[0]) if bool((row == row[0]).all()) else float("nan") for row in rows]


def test_batch_in_front_is_left_alone() -> None:
    x = batch(2)
    assert BatchLayout().samples_first(x) is x
    assert BatchLayout().factor == 1


def test_batch_behind() -> None:
    assert owner(batch(2, 4).movedim(0, 1), BatchLayout(1)) == [0, 1, 2]


@pytest.mark.parametrize(("outer", "inner"), [(1, 4), (4, 1), (2, 3)])
def test_factors_are_regrouped(outer: int, inner: int) -> None:
    folded = batch(outer, inner, 5).movedim(0, 1).reshape(outer * B * inner, 5)
    layout = BatchLayout(0, outer, inner)
    assert layout.factor == outer * inner
    assert layout.samples_first(folded).shape == (B, outer, inner, 5)
    assert owner(folded, layout) == [0, 1, 2]


@pytest.mark.parametrize(
    ("before", "after", "axis", "start"),
    [
        ((1, 6), (1, 2, 3), 0, BatchLayout()),  # split a feature axis
        ((1, 2, 3), (2, 3), 0, BatchLayout()),  # fold heads behind the batch
        ((2, 3), (1, 2, 3), 0, BatchLayout(0, 1, 2)),  # and unfold them
        ((4, 1, 3), (4, 3), 0, BatchLayout(1)),  # fold what is in front of the batch
        ((4, 3), (4, 1, 3), 1, BatchLayout(0, 4, 1)),
        ((1, 4), (1, 1, 4), 0, BatchLayout()),
        ((1, 4), (1, 1, 4), 1, BatchLayout()),  # an axis of size one may stand in front
        ((2, 1, 6), (2, 1, 3, 2), 1, BatchLayout(1)),
        ((1, 6), (6,), 0, BatchLayout()),  # the batch swallows all
    ],
)
def test_reshape_keeps_track(before: tuple[int, ...], after: tuple[int, ...], axis: int, start: BatchLayout) -> None:
    """Follow a value that knows its samples through a reshape."""

    def at_batch(shape: tuple[int, ...], layout_axis: int) -> list[int]:
        return [n * B if i == layout_axis else n for i, n in enumerate(shape)]

    layout = start.after_view(before, after, axis)
    assert layout is not None
    rest = [n for i, n in enumerate(before) if i != start.axis]
    value = batch(start.outer, start.inner, *rest).movedim(0, 1).flatten(0, 2).movedim(0, start.axis)
    value = value.reshape(at_batch(after, axis))
    assert layout.axis == axis
    assert owner(value, layout) == [0, 1, 2]


@pytest.mark.parametrize(
    ("before", "after", "axis"),
    [
        ((1, 6), (2, 3), 1),  # the batch cannot sit behind the split
        ((1, 6), (4, 4), 0),
        ((1, 0), (0, 1), 0),
    ],
)
def test_cuts_through_the_batch_are_unknown(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> None:
    assert BatchLayout().after_view(before, after, axis) is None


def test_layouts_compare_by_value() -> None:
    assert BatchLayout(1) == BatchLayout(1, 1, 1)
    assert len({BatchLayout(), BatchLayout(), BatchLayout(1)}) == 2
