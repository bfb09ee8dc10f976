"""The benchmark of Lipschitz constants: peers against theorems and dense operators, soundness, what is refused."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from benchmarks import lipschitz, lipschitz_parts
from benchmarks import lipschitz_convolution as convolution
from benchmarks import lipschitz_peers as peers
from benchmarks import lipschitz_sdp as sdp
from benchmarks import lipschitz_tables as tables
from benchmarks.lipschitz_growth import plot
from benchmarks.lipschitz_nets import Case, case, seeded, strided, unrolled
from benchmarks.lipschitz_worker import box, largest_norm, measure

pytestmark = pytest.mark.slow

# networks


def test_unrolled_convolutions_are_the_network() -> None:
    net = seeded(lambda: strided(8, 3, hidden=5))
    assert isinstance(net, torch.nn.Sequential)
    layers = unrolled(net, (1, 8, 8))
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    z = x.flatten(1)
    for k, (weight, bias) in enumerate(layers):
        z = z @ weight.T + bias
        z = z.relu() if k < len(layers) - 1 else z
    torch.testing.assert_close(z, net(x), rtol=0, atol=1e-12)


def test_dense_names_are_seeded_and_others_refused() -> None:
    first, again = case("3-4x2-2"), case("3-4x2-2")
    assert first.weights is not None
    assert again.weights is not None
    assert [w.shape for w, _ in first.weights] == [(4, 3), (4, 4), (2, 4)]
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(first.weights, again.weights, strict=True))
    with pytest.raises(ValueError, match="no network 'digits'"):
        case("digits")


def test_mnist_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPLINEGRAPH_MNIST", raising=False)
    with pytest.raises(FileNotFoundError, match="SPLINEGRAPH_MNIST"):
        case("MNIST MLP")


# peers


def test_bounds_of_peers_are_in_order() -> None:
    """Jacobian <= largest norm of all patterns <= SeqLip <= product of spectral norms; each by another way."""
    chosen = case("3-6-5-2")
    assert chosen.weights is not None
    layers = chosen.weights
    patterns = [torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64) for n in (6, 5)]
    (a, _), (b, _), (c, _) = layers
    all_maps = torch.einsum("oi,ti,ij,sj,jk->tsok", c, patterns[1], b, patterns[0], a)
    most = float(torch.linalg.matrix_norm(all_maps, 2).max())
    sampled = largest_norm(chosen, {"norm": 2.0})["lower"]
    seqlip, product = peers.seqlip(layers)["upper"], peers.spectral_product(layers)["upper"]
    assert 0 < sampled <= most * (1 + 1e-9)
    assert most <= seqlip * (1 + 1e-9)
    assert seqlip <= product * (1 + 1e-9)


def test_seqlip_of_one_layer_of_units_is_the_best_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = case("4-8-3")
    assert chosen.weights is not None
    (a, _), (b, _) = chosen.weights
    patterns = torch.tensor(list(itertools.product((0.0, 1.0), repeat=8)), dtype=torch.float64)
    most = float(torch.linalg.matrix_norm((b * patterns[:, None]) @ a, 2).max())
    assert peers.seqlip(chosen.weights)["upper"] == pytest.approx(most, rel=1e-10)
    monkeypatch.setattr(peers, "MOST_PATTERNS", 4)
    greedy = peers.seqlip(chosen.weights)
    assert "upper" not in greedy
    assert 1.01 * float(torch.linalg.matrix_norm(b @ a, 2)) < greedy["value"] <= most * (1 + 1e-10)
    flips = patterns[patterns.sum(1) == 7]  # the first step of the search is among these
    assert greedy["value"] >= float(torch.linalg.matrix_norm((b * flips[:, None]) @ a, 2).max()) * (1 - 1e-10)


@pytest.mark.parametrize("solver", list(sdp.SOLVERS))
def test_lipsdp_by_cvxpy_and_by_ours_agree(solver: str) -> None:
    pytest.importorskip("cvxpy")
    chosen = case("4-3-4-2")  # the first layer is reduced from 4 inputs to 3
    assert sdp.size(chosen) == 3 + 7
    theirs, mine = sdp.with_cvxpy(chosen, solver), sdp.ours(chosen)
    assert theirs["value"] == pytest.approx(mine["upper"], rel=1e-6 if solver == "CLARABEL" else 1e-3)
    assert mine["upper"] <= theirs["upper"] * (1 + 1e-6)
    assert theirs["seconds"] > 0


def test_programs_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.MODULES, "ExLipBaB", ("no_such_module",))
    assert peers.why_not("ExLipBaB") == "not installed: no module no_such_module"
    monkeypatch.setitem(peers.MODULES, "ExLipBaB", ("no_such_module.inner",))
    assert "no_such_module" in str(peers.why_not("ExLipBaB"))
    assert peers.why_not("SeqLip") is None


def test_chains_only() -> None:
    assert measure({"program": "SeqLip", "net": "conv, max pool"}) == {"note": "not a chain of linear layers and ReLU"}


# convolutions


@pytest.mark.parametrize("shape", [(2, 3, 3, 1, 1, 1, 6), (2, 3, 3, 2, 1, 1, 6), (2, 2, 3, 1, 2, 2, 8)])
def test_norms_of_convolutions_against_a_dense_operator(shape: tuple[int, ...]) -> None:
    conv, side = convolution.layer(shape), shape[-1]
    eye = torch.eye(shape[0] * side**2, dtype=torch.float64).reshape(-1, shape[0], side, side)
    with torch.no_grad():
        exact = float(torch.linalg.matrix_norm(conv(eye).flatten(1), 2))
        kernel = torch.nn.functional.pad(eye, [conv.padding[0] for _ in range(4)], mode="circular")  # type: ignore[misc]
        round_ = F.conv2d(kernel, conv.weight, None, conv.stride, 0, conv.dilation)
    found = {way: convolution.measure(way, shape)["value"] for way in convolution.WAYS}
    assert found["ours, convolution"] >= exact * (1 - 1e-12)
    assert found["Lanczos"] == pytest.approx(exact, rel=1e-6)
    assert found["power iteration, 100 steps"] <= exact * (1 + 1e-12)
    circular = float(torch.linalg.matrix_norm(round_.flatten(1), 2))
    assert found["FFT, circular"] == pytest.approx(circular, rel=1e-9)


# domains, samples, soundness


def test_samples_lie_in_the_box() -> None:
    """f(x) = |x| beyond 1, flat inside: on a box inside the norm of all samples is zero."""

    class Flat(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x - 1) + torch.relu(-x - 1)

    chosen = Case("flat", Flat(), (1,), None, torch.full((1, 1), 5.0, dtype=torch.float64))
    assert largest_norm(chosen, {"norm": 2.0, "radius": 0.99})["lower"] == 0
    assert largest_norm(chosen, {"norm": 2.0, "radius": 0.5, "point": 0})["lower"] == 1
    assert largest_norm(chosen, {"norm": 2.0})["lower"] == 1
    assert box(chosen, {"norm": 2.0}) is None


def test_what_contradicts_a_norm_that_occurs_is_told() -> None:
    rows = {"ours": {"lower": 1.0, "upper": 1.2}, "sampled": {"lower": 1.1}, "peer": {"upper": 1.15}}
    assert tables.agreement(rows) == []
    assert tables.soundness(rows) == "yes"
    rows["peer"]["upper"] = 1.09
    assert tables.agreement(rows) == ["peer: upper end 1.09 below 1.1 (sampled)"]
    assert tables.soundness(rows) == "WRONG: peer"
    rows["ours"] = {"lower": 1.3, "upper": 1.2}
    assert "ours: lower end 1.3 above its upper end 1.2" in tables.agreement(rows)
    assert tables.soundness({"ours": {"lower": 1.0, "upper": 2.0}}) == "not sampled"


def test_figures_are_shown_with_what_they_are() -> None:
    assert tables.shown({"value": 0.5, "seconds": 0.25, "note": "greedy"}) == "(0.5), 0.25 s"
    assert tables.shown({"lower": 1.0, "upper": 2.0}) == "1 to 2"
    assert tables.shown({"note": "over 5 s"}) == "over 5 s"
    assert tables.bracket({"lower": 1.0, "upper": 1.05}) == "5 %"
    assert tables.bracket({"lower": 1.0, "upper": 1.0 + 1e-6}) == "closed"
    assert not tables.closed({"note": "failed"})
    assert tables.bracket({"lower": 0.0, "upper": 1.0}) == tables.bracket({"lower": 1.0, "upper": math.inf}) == ""


# the program


def options(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(gib=16, timeout=60.0, peers_path=[], repeat=1, **given)


@pytest.mark.slow
def test_a_process_of_its_own_says_what_it_found_or_why_not() -> None:
    row = lipschitz_parts.call(options(), "spectral product", "2-4-1")
    assert row["upper"] == peers.spectral_product(case("2-4-1").weights or [])["upper"]
    assert "no network 'x'" in lipschitz_parts.call(options(), "spectral product", "x")["note"]


def test_all_parts_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the processes replaced by calls; peers that are not installed are left out."""
    ran: list[str] = []

    def inside(_: argparse.Namespace, program: str, net: str = "", **job: Any) -> dict[str, Any]:
        ran.append(program)
        if program == "sampled" and "radius" in job:
            return {"lower": 1e9, "seconds": 0.1}  # the planted fault: every upper end is below this
        return {"lower": 0.2, "upper": 0.3, "value": 0.3, "product": 0.5, "seconds": 0.1, "solver_seconds": 0.2}

    monkeypatch.setattr(lipschitz_parts, "call", inside)
    out, picture = tmp_path / "figures.json", tmp_path / "growth.png"
    lipschitz.main(["--quick", "--peers", "LipSDP", "--repeat", "1", "--json", str(out), "--growth", str(picture)])
    said = capsys.readouterr().out
    found = json.loads(out.read_text())
    assert {"machine", "peers", *lipschitz_parts.PARTS} == set(found)
    assert "WRONG: ours" in said
    assert said.count("WRONG") == sum(len(found[part]) for part in ("local", "exact"))
    assert "50 %" in said
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "ExLipBaB" not in ran
    assert {"LipSDP", "LipSDP, SCS", "ours", "Lanczos"} <= set(ran)


def test_ours_on_a_small_network_is_sound() -> None:
    job = {"net": "2-5-4-1", "budget": 2.0, "radius": 0.5}
    rows = {program: measure({"program": program, **job}) for program in ("ours", "sampled")}
    assert rows["ours"]["upper"] >= rows["sampled"]["lower"] > 0
    assert tables.soundness(rows) == "yes"
    assert tables.rungs(rows["ours"])[0].startswith("product (upper): ")


def test_growth_leaves_out_what_failed(tmp_path: Path) -> None:
    ran = {"lower": 1.0, "upper": 1.1, "product": 2.0, "seconds": 1.0}
    rows = {4: {"ours": ran, "semidefinite": ran}, 8: {"ours": {"note": "over 5 s"}, "semidefinite": ran}}
    plot({"width w of 10-w-10": rows}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
