"""`splinegraph lipschitz`, as a user meets it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splinegraph.cli import lipschitz_work
from tests.cli.conftest import Run, write_nets

NETS = {
    "net.py": "nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3))",
    "other.py": "nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3))",
    "step.py": "Apply(torch.sign)",
    "square.py": "Apply(lambda x: x * x)",
    "attention.py": "Apply(lambda x: torch.softmax(x @ x.mT, -1) @ x)",
    "nan.py": "spoiled(nn.Linear(2, 1))",
    "two.py": "Two()",
}


@pytest.fixture
def run(splinegraph: Run) -> Run:
    write_nets(NETS)

    def lipschitz(target: str, *arguments: object, shape: str = "2") -> Any:
        return splinegraph("lipschitz", target, "--input-shape", shape, *arguments)

    return lipschitz


def found(text: str) -> dict[str, Any]:
    told = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert isinstance(told, dict)
    return told


def test_both_ends_on_all_of_space(run: Run) -> None:
    result = run("net.py", "--budget", 2, "--tol", 0.2, "--json", "-")
    assert result.exit_code == 0, result.output
    told = found(result.stdout)
    assert 0 < told["lower"] <= told["upper"] < told["product"]["upper"]
    assert (told["format"], told["domain"], told["norm"]) == (lipschitz_work.FORMAT, "all of space", "2")
    assert told["rungs"][0]["method"] == "product"
    assert told["request"]["budget"] == 2
    assert len(told["provenance"]["weights_sha256"]) == 64


def test_a_domain_says_less_than_all_of_space(run: Run) -> None:
    np.save("x.npy", np.zeros(2))
    ends = {}
    for domain in ("--global", "--box 0 0.01", "--box-around x.npy 0.01", "--ball x.npy 0.01"):
        result = run("net.py", *domain.split(), "--json", "out.json", "--budget", 0.3)
        assert result.exit_code == 0, result.output
        assert "Lipschitz constant in l2" in result.stdout
        ends[domain] = found(Path("out.json").read_text())
    whole = ends.pop("--global")["upper"]
    assert all(told["upper"] < whole for told in ends.values())
    assert "ball" in ends["--ball x.npy 0.01"]["domain"]


def test_out_holds_everything(run: Run) -> None:
    result = run("net.py", "--budget", 0, "--certify", "--out", "bound")
    assert result.exit_code == 0, result.output
    assert "verified in" in result.stdout
    told = found(Path("bound/lipschitz.json").read_text())
    assert told["verified"] is True
    assert sorted(told["files"]) == ["certificate.npz", "lipschitz.png", "lipschitz.svg", "nodes.csv"]
    assert sorted(path.name for path in Path("bound").iterdir()) == sorted([*told["files"], "lipschitz.json"])
    with Path("bound/nodes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["node"] for row in rows] == [row["node"] for row in told["product"]["nodes"]]
    assert float(rows[-1]["total"]) == told["product"]["upper"]
    again = run("net.py", "--budget", 0, "--out", "bound", "--no-figures", "--quiet")
    assert again.exit_code == 0
    assert sorted(path.name for path in Path("bound").iterdir()) == ["certificate.npz", "lipschitz.json", "nodes.csv"]


def test_a_certificate_is_checked_from_disk(run: Run) -> None:
    assert run("net.py", "--budget", 0, "--out", "bound", "--box", -1, 1, "--no-figures").exit_code == 0
    result = run("net.py", "--verify", "bound/certificate.npz")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("verified: Lipschitz constant in l2 at most")
    assert "a box from -1 to 1" in " ".join(result.stdout.split())
    told = found(run("net.py", "--verify", "bound/certificate.npz", "--json", "-").stdout)
    assert told["verified"] is True
    other = run("other.py", "--verify", "bound/certificate.npz")
    assert other.exit_code == 2
    assert "other weights" in other.stderr


def test_a_certificate_that_proves_less_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the bound that is claimed is smaller than what its proof gives."""
    right: Callable[..., Any] = lipschitz_work.lipschitz

    def optimistic(*arguments: Any, **options: Any) -> Any:
        import dataclasses

        bound = right(*arguments, **options)
        wrong = dataclasses.replace(bound.certificate, upper=0.9 * bound.upper)
        return dataclasses.replace(bound, certificate=wrong)

    monkeypatch.setattr(lipschitz_work, "lipschitz", optimistic)
    result = run("net.py", "--budget", 0, "--certify", "--out", "bound", "--no-figures")
    assert result.exit_code == 1
    assert "not verified" in result.stdout
    result = run("net.py", "--verify", "bound/certificate.npz")
    assert result.exit_code == 1
    assert result.stdout.startswith("not verified")


def test_a_jump_has_no_constant_and_a_witness(run: Run) -> None:
    result = run("step.py", "--json", "out.json")
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    assert "infinite: the network jumps" in text
    assert "Sign (node 'sign'" in text
    assert "differ by" in text
    told = found(Path("out.json").read_text())
    assert told["upper"] is None
    assert told["jump"]["distance"] < 1e-9
    assert told["jump"]["moved"] >= 1


@pytest.mark.parametrize(
    ("target", "operator", "shape"),
    [("square.py", "Mul", "2"), ("attention.py", "MatMul", "2,2")],
)
def test_what_has_no_constant_on_all_of_space_is_named(run: Run, target: str, operator: str, shape: str) -> None:
    result = run(target, "--budget", 0, shape=shape)
    text = " ".join(result.stdout.split())
    assert result.exit_code == 1, text
    assert "no upper bound" in text
    assert operator.lower() in text.lower()
    assert "give a bounded domain" in text
    assert run(target, "--budget", 0, "--box", 0.5, 1, shape=shape).exit_code == 0


BAD = {
    "norm": (("net.py", "--norm", 3), "'1', '2', 'inf'"),
    "reversed box": (("net.py", "--box", 1, 0), "the box is empty"),
    "box of another size": (("net.py", "--box", "0,0,0", "1,1,1"), "3 numbers, the input 2 entries"),
    "no file": (("net.py", "--ball", "y.npy", 1), "there is no file y.npy"),
    "no radius": (("net.py", "--ball", "x.npy", "wide"), "'wide' is no radius"),
    "radius zero": (("net.py", "--ball", "x.npy", 0), "positive"),
    "two domains": (("net.py", "--box", 0, 1, "--global"), "more than one domain"),
    "negative budget": (("net.py", "--budget", -1), "budget"),
    "budget that is no number": (("net.py", "--budget", "nan"), "budget"),
    "tolerance that is no number": (("net.py", "--tol", "nan"), "tol"),
    "NaN weights": (("nan.py",), "NaN"),
    "no certificate": (("net.py", "--verify", "none.npz"), "there is no file none.npz"),
    "other file": (("net.py", "--verify", "x.npy"), "no certificate"),
    "certificate and domain": (("net.py", "--verify", "x.npy", "--box", 0, 1), "leave out --box"),
    "two inputs": (("two.py", "--input-shape", "2", "--box", 0, 1), "domains are for networks with one"),
    "file for a folder": (("net.py", "--out", "net.py"), "is a file"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line(run: Run, name: str) -> None:
    np.save("x.npy", np.zeros(2))
    arguments, told = BAD[name]
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    last = result.stderr.strip().splitlines()[-1]
    assert told in " ".join(result.stderr.split()), result.stderr
    assert "rror: " in last
    assert "Traceback" not in result.output


def test_an_interrupt_before_anything_is_known(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(lipschitz_work, "lipschitz", interrupted)
    result = run("net.py")
    assert result.exit_code == 1
    assert "interrupted before anything was known" in result.stderr


def test_an_interrupt_later_keeps_both_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    whole: Callable[..., Any] = lipschitz_work.lipschitz
    monkeypatch.setattr(
        lipschitz_work, "lipschitz", lambda *a, **o: dataclasses.replace(whole(*a, **o), interrupted=True)
    )
    result = run("net.py", "--budget", 0, "--out", "bound", "--no-figures")
    assert result.exit_code == 1
    assert "interrupted: both ends hold" in result.stdout
    assert found(Path("bound/lipschitz.json").read_text())["interrupted"] is True


def test_samples_are_starts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("data.npy", np.full((3, 2), 7.0, dtype=np.float32))
    seen: list[Any] = []
    whole: Callable[..., Any] = lipschitz_work.lipschitz

    def watched(*arguments: Any, **options: Any) -> Any:
        seen.append(options["starts"])
        return whole(*arguments, **options)

    monkeypatch.setattr(lipschitz_work, "lipschitz", watched)
    assert run("net.py", "--budget", 0, "--data", "data.npy", "--quiet").exit_code == 0
    assert seen[0][0].tolist() == [[7.0, 7.0]] * 3
