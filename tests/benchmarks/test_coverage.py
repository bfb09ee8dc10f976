"""The coverage benchmark: its list, its oracle, its workers and its totals."""

from __future__ import annotations

import collections
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.coverage import Worker, stored
from benchmarks.coverage_models import ENTRIES, Entry
from benchmarks.coverage_oracle import piecewise_affine
from benchmarks.coverage_tables import line, passed, totals
from benchmarks.coverage_worker import attempt, export_alone, unlowered

BY_NAME = {entry.name: entry for entry in ENTRIES}


def test_list_is_long_varied_and_its_names_are_unique() -> None:
    assert len(ENTRIES) >= 120
    assert len(BY_NAME) == len(ENTRIES)
    assert all(entry.name.count("/") == 1 and " " not in entry.name for entry in ENTRIES)
    families = collections.Counter(entry.family for entry in ENTRIES)
    assert families["timm"] >= 40
    assert {"torchvision", "transformers", "recurrent", "geometric", "policies", "flows", "dense"} <= set(families)
    assert {True, False} <= {entry.exact for entry in ENTRIES}


def test_entries_outside_of_torch_say_which_package_they_need() -> None:
    own = {"plain", "recurrent"}
    assert all(entry.packages for entry in ENTRIES if entry.family not in {*own, "misc"})


def test_making_an_entry_twice_gives_the_same_model() -> None:
    (one, (x,)), (two, (y,)) = (BY_NAME["plain/padding_modes"].make() for _ in range(2))
    assert torch.equal(x, y)
    assert torch.equal(one(x), two(y))


@pytest.mark.parametrize("name", ["plain/group_instance_norm", "plain/prelu", "plain/attention"])
def test_no_parameter_hides_behind_a_constant(name: str) -> None:
    model, _ = BY_NAME[name].make()
    assert all(p.max() > p.min() for p in model.parameters() if p.numel() > 1)


ORACLE: dict[str, tuple[bool, Callable[[], nn.Module]]] = {
    "relu": (True, lambda: nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 3))),
    "pool": (True, lambda: nn.Sequential(nn.Unflatten(1, (1, 5)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(2, 2))),
    "round": (True, lambda: nn.Sequential(nn.Linear(5, 4), nn.Hardshrink(), nn.Linear(4, 2))),
    "gelu": (False, lambda: nn.Sequential(nn.Linear(5, 4), nn.GELU())),
    "relu then norm": (False, lambda: nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.LayerNorm(9))),
    "weak curvature": (False, lambda: nn.Sequential(nn.Linear(5, 9), nn.CELU(1e3), nn.Linear(9, 1))),
}


@pytest.mark.parametrize("name", ORACLE)
def test_oracle_tells_affine_pieces_from_curves(name: str) -> None:
    torch.manual_seed(0)
    expected, make = ORACLE[name]
    assert piecewise_affine(make().eval(), (torch.randn(2, 5),)) is expected


def test_oracle_moves_embeddings_where_the_input_is_integers() -> None:
    torch.manual_seed(0)
    ids = torch.randint(0, 7, (2, 4))
    assert piecewise_affine(nn.Sequential(nn.Embedding(7, 6), nn.ReLU(), nn.Linear(6, 2)), (ids,)) is True
    assert piecewise_affine(nn.Sequential(nn.Embedding(7, 6), nn.Softmax(-1)), (ids,)) is False


class _Float32(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ torch.ones(5, 2)


def test_oracle_is_unsure_where_the_model_runs_in_float32_only() -> None:
    assert piecewise_affine(_Float32(), (torch.randn(2, 5),)) is None


def test_attempt_finds_the_facts_of_a_model() -> None:
    row = attempt(BY_NAME["plain/siamese"])
    assert (row["exported"], row["traced"], row["equal"], row["exact"], row["oracle"]) == (True,) * 5
    assert row["opaque"] == row["unlowered"] == {}
    assert passed(row)
    assert json.loads(json.dumps(row)) == row
    assert "equal yes exact yes / yes / yes" in line(row)


def test_attempt_reports_what_cannot_be_run() -> None:
    def broken() -> Any:
        raise ValueError("no such model")

    absent = attempt(Entry("x/absent", broken, None, ("no_such_package_at_all",)))
    assert (absent["stage"], passed(absent)) == ("skipped", True)
    failing = attempt(Entry("x/failing", broken, None))
    assert (failing["stage"], failing["error"]) == ("build", "ValueError: no such model")
    assert not passed(failing)


def test_calls_without_a_lowering_are_counted() -> None:
    class Bessel(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = torch.special.bessel_j0(x).relu() + torch.special.bessel_j0(2 * x)
            return y

    _, error, program = export_alone(Bessel(), (torch.randn(2, 3),), 0)
    assert error == ""
    assert program is not None
    assert unlowered(program) == {"aten.special_bessel_j0.default": 2}


def test_a_worker_that_dies_or_hangs_loses_one_model_only() -> None:
    worker = Worker([], 8)
    script = (
        "import sys, json, time, os\n"
        "for name in sys.stdin:\n"
        "    name = name.strip()\n"
        "    if 'dies' in name: os._exit(3)\n"
        "    if 'hangs' in name: time.sleep(60)\n"
        "    print(json.dumps({'name': name, 'stage': 'skipped'}), flush=True)\n"
    )
    worker.command = [sys.executable, "-c", script]
    entries = [Entry(f"x/{name}", lambda: (nn.Identity(), ()), True) for name in ("one", "dies", "hangs", "two")]
    rows = [worker.run(entry, 20 if "hangs" not in entry.name else 0.5) for entry in entries]
    worker.close()
    assert [row["stage"] for row in rows] == ["skipped", "trace", "trace", "skipped"]
    assert rows[1]["error"] == "the worker died (exit status 3)"
    assert rows[2]["error"].startswith("no answer in")
    assert worker.process is None


def test_results_survive_a_cut_off_line_and_the_last_answer_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"name": "a", "equal": false}\n{"name": "b"}\n{"name": "a", "equal": true}\n{"name": "c", "eq')
    assert stored(path) == {"a": {"name": "a", "equal": True}, "b": {"name": "b"}}
    assert stored(tmp_path / "none.jsonl") == {}


def _row(name: str, **facts: Any) -> dict[str, Any]:
    good = {
        "name": name, "stage": "trace", "expected": True, "exact": True, "oracle": True, "exported": True,
        "traced": True, "equal": True, "opaque": {}, "batched": True, "seconds": 2.0, "seconds_export": 1.0,
    }  # fmt: skip
    return good | facts


def test_totals_count_and_name_what_is_wrong() -> None:
    rows = [
        _row("good"), _row("unequal", equal=False), _row("lies", expected=False, oracle=False),
        _row("shy", exact=False, opaque={"aten.foo": 3}), _row("refused", exported=False, traced=False, equal=False),
        {"name": "absent", "stage": "skipped"}, _row("odd", oracle=False, exact=False),
    ]  # fmt: skip
    text = totals(rows)
    assert "listed 7, skipped 1, did not run eagerly 0, tried 6" in text
    assert "exported by torch.export: 5 of 6 (83.3 %)" in text
    assert "traced and equal to eager: 4 of 5 (80.0 %)" in text
    assert "wrongly called exact (1): lies" in text
    assert "exact but not called so (2): shy, odd" in text
    assert "source and oracle disagree (1): odd" in text
    assert "aten.foo 1" in text
    assert "median 2.00" in text
    assert [passed(row) for row in rows] == [True, False, False, False, False, True, False]
