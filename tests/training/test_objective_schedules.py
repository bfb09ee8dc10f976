"""Weights that change with the step."""

from __future__ import annotations

import json
import math

import pytest

from splinegraph.errors import SplineGraphError
from splinegraph.training.objective.schedules import (
    Constant,
    Cosine,
    Linear,
    Step,
    Weight,
    from_json,
    to_json,
    value_at,
)


def test_values_at_the_ends_and_between() -> None:
    assert [Constant(0.3)(t) for t in (0, 10**9)] == [0.3, 0.3]
    assert [Linear(1, 0, steps=4, after=2)(t) for t in (0, 2, 3, 6, 99)] == [1, 1, 0.75, 0, 0]
    assert [Step((1, 2, 3), at=(5, 7))(t) for t in (0, 4, 5, 6, 7, 99)] == [1, 1, 2, 2, 3, 3]
    wave = Cosine(0, 1, steps=8)
    assert [wave(t) for t in (0, 8, 20)] == [0, 1, 1]
    assert wave(4) == pytest.approx(0.5, abs=1e-15)
    assert all(wave(t) + wave(8 - t) == pytest.approx(1, abs=1e-15) for t in range(9))


@pytest.mark.parametrize("kind", [Linear, Cosine])
@pytest.mark.parametrize("ends", [(0.2, 0.9), (1.0, 0.0), (0.8, 0.2)])
def test_ramps_are_monotone_and_stay_between_their_ends(kind: type[Linear], ends: tuple[float, float]) -> None:
    values = [kind(*ends, steps=37)(t) for t in range(60)]
    assert values == sorted(values, reverse=ends[0] > ends[1])
    assert (values[0], values[-1]) == ends  # not a rounding past 1, which alpha would refuse


SCHEDULES = [0.25, Constant(0.5), Linear(0, 1, 10), Cosine(1, 0.5, 10, after=3), Step((1, 0.5), (9,))]


@pytest.mark.parametrize("weight", SCHEDULES, ids=str)
def test_files_give_the_same_weight_again(weight: Weight) -> None:
    again = from_json(json.loads(json.dumps(to_json(weight))))
    assert [value_at(again, t) for t in range(20)] == [value_at(weight, t) for t in range(20)]
    assert again == weight


def test_any_callable_is_a_weight_but_no_file_holds_it() -> None:
    assert value_at(lambda step: 1 / (1 + step), 3) == 0.25
    with pytest.raises(SplineGraphError, match="'sqrt' cannot be written"):
        to_json(math.sqrt)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: Linear(0, 1, steps=0), "steps counts at least 1"),
        (lambda: Linear(0, math.nan, steps=5), r"Linear\(end=nan\); give finite"),
        (lambda: Constant("a lot"), "give finite numbers"),  # type: ignore[arg-type]
        (lambda: Step((1, 2), at=()), "one value more than steps"),
        (lambda: Step((1, 2, 3), at=(5, 5)), "increasing order"),
        (lambda: from_json({"kind": "wavy", "value": 1}), "unknown kind 'wavy'"),
        (lambda: from_json({"kind": "linear", "start": 1}), "missing"),
        (lambda: from_json({"value": 1}), "unknown kind None"),
    ],
)  # fmt: skip
def test_bad_schedules_are_refused(wrong: object, says: str) -> None:
    assert callable(wrong)
    with pytest.raises(SplineGraphError, match=says):
        wrong()
