"""What the objective is made of: ranges, presets, files."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from splinegraph.errors import SplineGraphError
from splinegraph.training.objective import Objective, preset
from splinegraph.training.objective.schedules import Linear


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"alpha": 1.2}, r"alpha=1.2; give a number in \[0, 1\]"),
        ({"beta": -0.1}, r"beta=-0.1"),
        ({"alpha": math.nan}, "alpha=nan"),
        ({"alpha": True}, "alpha=True"),
        ({"alpha": "half"}, "alpha='half'"),
        ({"gamma": {"input": -1}}, r"gamma\['input'\]=-1"),
        ({"gamma": math.inf}, "give a finite number >= 0"),
        ({"balance": -1}, "balance=-1"),
        ({"reduction": "median"}, "reduction='median'; choose one of mean, sum"),
        ({"shift": 1.5}, "shift=1.5"),
        ({"confidence": 2}, "confidence=2"),
        ({"norm": 3}, "norm=3; choose 1, 2 or inf"),
        ({"aplha": 0.5}, "no option 'aplha'; did you mean 'alpha'"),
    ],
)  # fmt: skip
def test_weights_out_of_their_range_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SplineGraphError, match=says):
        Objective().changed(**options)


def test_a_schedule_that_leaves_its_range_later_is_refused_then() -> None:
    objective = Objective(beta=Linear(0, 2, steps=10))
    assert objective.at(5)["reconstruction"] == pytest.approx(0.3)
    with pytest.raises(SplineGraphError, match=r"beta=1.2 at step 6; give a number in \[0, 1\]"):
        objective.at(6)


def test_a_file_holds_every_option() -> None:
    objective = preset("strong", steps=10, gamma={"conv": Linear(0, 1, 5)}, norm=math.inf, form="cosine")
    text = json.dumps(objective.to_dict(), allow_nan=False)
    assert Objective(**json.loads(text)) == objective
    with pytest.raises(SplineGraphError, match="cannot be written to a file"):
        Objective(alpha=lambda step: 0.5).to_dict()


def test_presets_are_the_recipes_measured() -> None:
    assert preset("paper").at(0) == pytest.approx({"cross_entropy": 0.7, "reconstruction": 0.06, "entropy": 0.24})
    late = {"cross_entropy": 0.7, "reconstruction": 0.06, "entropy": 0.24, "balance": 0.24}
    assert preset("balanced", steps=100).at(25) == pytest.approx(late)
    assert "entropy" not in preset("balanced").at(0)
    assert [preset(name).rows for name in ("paper", "balanced", "strong")] == ["all", "unlabelled", "unlabelled"]
    assert preset("strong").at(0)["consistency"] > 0
    with pytest.raises(SplineGraphError, match="no preset 'blanced'; did you mean 'balanced'"):
        preset("blanced")
