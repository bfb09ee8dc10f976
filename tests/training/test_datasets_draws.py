"""Which samples have labels, and the batches of those that have and have not."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from splinegraph.errors import DataError
from splinegraph.training.datasets import IndexBatches, LabelDraw, draw_labels, loaders


@settings(max_examples=40)
@given(st.data())
def test_draws_are_balanced_and_take_each_sample_once(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))
    y = torch.cat([torch.full((n,), c) for c, n in enumerate(sizes)] + [torch.full((3,), -1)])
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(data.draw(st.integers(0, 99))))]
    count = data.draw(st.integers(len(sizes), sum(sizes)))
    draw = draw_labels(y, count, data.draw(st.integers(0, 999)))
    found = torch.bincount(y[draw.labelled], minlength=len(sizes))
    assert int(found.sum()) == draw.count == count
    # none has two fewer than another, except one that has no more
    assert all(int(n) == size or int(found.max() - n) <= 1 for n, size in zip(found, sizes, strict=True))
    assert torch.cat([draw.labelled, draw.unlabelled]).sort().values.tolist() == list(range(len(y)))


def test_draws_are_those_of_their_seed_and_smaller_ones_part_of_larger_ones() -> None:
    y = torch.arange(200) % 10
    assert torch.equal(draw_labels(y, 50, 3).labelled, draw_labels(y, 50, 3).labelled)
    assert not torch.equal(draw_labels(y, 50, 3).labelled, draw_labels(y, 50, 4).labelled)
    assert bool(torch.isin(draw_labels(y, 23, 3).labelled, draw_labels(y, 50, 3).labelled).all())


def test_every_sample_of_a_class_is_drawn_alike() -> None:
    y = torch.zeros(10, dtype=torch.int64)
    times = sum(torch.bincount(draw_labels(y, 3, seed).labelled, minlength=10) for seed in range(400))
    assert float(((times - 120.0) ** 2 / 120).sum()) < 28  # chi squared, 9 degrees of freedom: one in 1000


def test_labels_for_validation_count() -> None:
    y = torch.arange(200) % 10
    draw = draw_labels(y, 50, 0, validation=20)
    assert (len(draw.labelled), len(draw.validation), draw.count, len(draw.unlabelled)) == (30, 20, 50, 150)
    assert torch.bincount(y[draw.validation]).tolist() == [2] * 10
    together = torch.cat([draw.labelled, draw.validation])
    assert torch.equal(together.sort().values, draw_labels(y, 50, 0).labelled)


def test_labels_that_cannot_be_drawn_say_why() -> None:
    y = torch.arange(40) % 4
    with pytest.raises(DataError, match=r"41 labels are asked for: the training set has 40; 1 to 40"):
        draw_labels(y, 41, 0)
    with pytest.raises(DataError, match="30 labels are asked for: the training set has 10"):
        draw_labels(torch.where(torch.arange(40) < 30, -1, y), 30, 0)
    with pytest.raises(DataError, match="0 labels are asked for"):
        draw_labels(y, 0, 0)
    with pytest.raises(DataError, match=r"class \d has no labelled example: 3 labels .* at least 4 labels"):
        draw_labels(y, 3, 0)
    with pytest.raises(DataError, match=r"class 4 has no labelled example: the training set has none"):
        draw_labels(y, 8, 0, classes=5)
    with pytest.raises(DataError, match="no labelled example: 2 labels to train on"):
        draw_labels(y, 8, 0, validation=6)
    with pytest.raises(DataError, match="8 labels are asked for validation"):
        draw_labels(y, 8, 0, validation=8)
    with pytest.raises(DataError, match="float32"):
        draw_labels(y.float(), 8, 0)


# batches


def test_each_pass_takes_every_sample_once() -> None:
    batches = IndexBatches(torch.arange(10) * 7, 4, seed=0)
    assert batches.steps == 3
    seen = torch.cat([batches.next() for _ in range(5)])
    assert all(torch.equal(part.sort().values, torch.arange(10) * 7) for part in seen.split(10))
    assert not torch.equal(seen[:10], seen[10:])


def draw(labelled: int, unlabelled: int) -> LabelDraw:
    indices = torch.arange(labelled + unlabelled)
    return LabelDraw(indices[:labelled], indices[:0], indices[labelled:], 0)


def test_labelled_samples_come_again_and_again_beside_the_unlabelled() -> None:
    found = loaders(draw(6, 100), labelled_batch=50, unlabelled_batch=16, seed=1)
    assert found.steps == 7
    for _ in range(20):
        labelled, unlabelled = found.next()
        assert labelled.sort().values.tolist() == list(range(6))
        assert unlabelled is not None
        assert len(unlabelled) == 16
        assert int(unlabelled.min()) >= 6
    alone = loaders(draw(6, 100), labelled_batch=4, unlabelled_batch=0, seed=1)
    assert (alone.steps, alone.next()[1]) == (2, None)


def test_labelled_batches_are_the_same_with_and_without_unlabelled_ones() -> None:
    first = loaders(draw(20, 100), labelled_batch=7, unlabelled_batch=16, seed=5)
    second = loaders(draw(20, 100), labelled_batch=7, unlabelled_batch=0, seed=5)
    assert all(torch.equal(first.next()[0], second.next()[0]) for _ in range(9))


@pytest.mark.parametrize("before", [0, 3, 7])
def test_a_saved_order_goes_on_exactly_from_a_file(before: int) -> None:
    found = loaders(draw(11, 30), labelled_batch=4, unlabelled_batch=8, seed=2)
    for _ in range(before):
        found.next()
    file = io.BytesIO()
    torch.save(found.state_dict(), file)
    file.seek(0)
    coming = [found.next() for _ in range(20)]
    again = loaders(draw(11, 30), labelled_batch=4, unlabelled_batch=8, seed=99)
    again.load_state_dict(torch.load(file, weights_only=True))
    for labelled, unlabelled in coming:
        other, others = again.next()
        assert torch.equal(labelled, other)
        assert unlabelled is not None
        assert others is not None
        assert torch.equal(unlabelled, others)


def test_a_saved_state_is_not_changed_by_what_follows() -> None:
    batches = IndexBatches(torch.arange(10), 4, seed=0)
    state = batches.state_dict()
    held = copy.deepcopy(state)
    for _ in range(5):
        batches.next()
    assert torch.equal(state["order"], held["order"])
    assert torch.equal(state["generator"], held["generator"])


def test_states_and_batches_that_do_not_fit_are_refused() -> None:
    found = loaders(draw(11, 30), labelled_batch=4, unlabelled_batch=8, seed=2)
    with pytest.raises(DataError, match="other samples"):
        loaders(draw(12, 30), labelled_batch=4, unlabelled_batch=8, seed=2).load_state_dict(found.state_dict())
    with pytest.raises(DataError, match="only one of"):
        loaders(draw(11, 30), labelled_batch=4, unlabelled_batch=0, seed=2).load_state_dict(found.state_dict())
    with pytest.raises(DataError, match="no unlabelled samples: all of the training set has labels: 11"):
        loaders(draw(11, 0), labelled_batch=4, unlabelled_batch=8, seed=2)
    with pytest.raises(DataError, match="batch size is 0"):
        loaders(draw(11, 30), labelled_batch=0, unlabelled_batch=8, seed=2)
    with pytest.raises(DataError, match="batch size is -1"):
        loaders(draw(11, 30), labelled_batch=4, unlabelled_batch=-1, seed=2)
