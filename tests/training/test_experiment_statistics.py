"""Intervals against scipy and against what they promise."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from splinegraph.errors import ShapeError, TargetError
from splinegraph.training.experiments.statistics import estimate, paired
from splinegraph.training.experiments.table4 import TABLE4, rows


def test_a_paired_interval_is_that_of_scipy() -> None:
    first, second = np.random.default_rng(0).normal([[0.5], [0.0]], size=(2, 7))
    found = paired(list(first), list(second), level=0.9)
    theirs = stats.ttest_rel(first, second).confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)
    assert found.deviation == pytest.approx(np.std(first - second, ddof=1), rel=1e-12)


def test_an_interval_keeps_its_promise() -> None:
    """Of many experiments the share given holds the expectation, within three standard errors."""
    values = np.random.default_rng(1).normal(3.0, 2.0, size=(2000, 5))
    held = sum(e.low <= 3.0 <= e.high for e in (estimate(list(row), level=0.8) for row in values))
    assert abs(held / 2000 - 0.8) < 3 * math.sqrt(0.8 * 0.2 / 2000)


def test_significance_leaves_zero_out() -> None:
    assert paired([2.0, 3.1, 2.9], [1.0, 2.0, 2.0]).significant
    assert paired([1.0, 2.0, 2.0], [2.0, 3.1, 2.9]).significant
    assert not paired([2.0, 3.0, 2.0], [1.0, 4.0, 2.0]).significant


def test_one_draw_says_nothing_of_the_spread() -> None:
    found = estimate([0.5])
    assert not found.significant
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (told["mean"], told["deviation"], told["low"], told["kind"]) == (0.5, None, None, "estimate")
    assert str(found) == "0.5 (one draw)"


def test_draws_that_do_not_match_are_refused() -> None:
    with pytest.raises(ShapeError, match="2 draws beside 1"):
        paired([1.0, 2.0], [1.0])
    with pytest.raises(ShapeError, match="no draws"):
        estimate([])


def test_rows_of_the_table() -> None:
    assert rows() == TABLE4
    assert len(TABLE4) == 12
    assert [row.accuracy for row in rows(["resnet2-32-max", "small-cnn-mean"])] == [99.14, 99.07]
    with pytest.raises(TargetError, match="no 'lenet'; choose from small-cnn-mean"):
        rows(["lenet"])
