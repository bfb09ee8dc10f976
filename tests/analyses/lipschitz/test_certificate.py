"""Certificates: what they prove, what they refuse, and what a file of one may not be tampered with."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.lipschitz import certificate_file, checking
from splinegraph.analyses.lipschitz.branching import branch
from splinegraph.analyses.lipschitz.certificate import Certificate, load_certificate
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.jacobians import matrices, norms
from splinegraph.analyses.lipschitz.product import product
from splinegraph.analyses.lipschitz.relaxing.tightening import jacobian_on
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve, start
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.errors import DataError
from tests.analyses.regions.nets import mlp


@functools.cache  # tracing takes longer than what is tested
def net(seed: int = 0, activation: Callable[[], nn.Module] = nn.ReLU) -> sg.SplineGraph:
    torch.manual_seed(seed)
    return sg.trace(mlp(3, 7, 5, 2, activation=activation).double().eval(), torch.zeros(1, 3, dtype=torch.float64))


def semidefinite(graph: sg.SplineGraph, on: Any = None) -> Certificate:
    domain = Domain.of(graph, on)
    found = units(graph, domain.intervals(graph))
    assert found is not None
    inequality = Inequality(domain.reduced(found))
    T = start(inequality)
    assert T is not None
    T = solve(inequality, T).T
    return Certificate(graph, domain, 2, math.sqrt(inequality.certified(T)), "semidefinite", {"T": T})


def by_product(graph: sg.SplineGraph, norm: float = 2, on: Any = None) -> Certificate:
    domain = Domain.of(graph, on)
    return Certificate(graph, domain, norm, product(graph, norm, domain.intervals(graph)).upper)


BOX = sg.Box(torch.full((3,), -3.0), torch.full((3,), 3.0))
BALL = sg.Ball(torch.zeros(3), 3.0)


@pytest.mark.parametrize("on", [None, BOX, BALL], ids=["space", "box", "ball"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, lambda: nn.LeakyReLU(-1.5), nn.Hardtanh])
def test_multipliers_prove_their_bound_and_no_less(on: Any, activation: Callable[[], nn.Module]) -> None:
    proof = semidefinite(net(activation=activation), on)
    assert proof.verify()
    assert not dataclasses.replace(proof, upper=proof.upper * 0.9999).verify()
    T = proof.arrays["T"]
    for worse in (0.5 * T, -T, T[:-1], np.full_like(T, math.nan), np.roll(T, 1), T.astype(np.float32)):
        assert not dataclasses.replace(proof, arrays={"T": worse}).verify()
    assert not dataclasses.replace(proof, arrays={}).verify()
    assert not dataclasses.replace(proof, norm=1).verify()


def test_every_multiplier_counts() -> None:
    proof = semidefinite(net())
    T = proof.arrays["T"]
    for i in range(len(T)):
        changed = T.copy()
        changed[i] *= 0.8
        assert not dataclasses.replace(proof, arrays={"T": changed}).verify()


@pytest.mark.parametrize("norm", [1, 2, math.inf])
@pytest.mark.parametrize("on", [None, BOX], ids=["space", "box"])
def test_products_prove_their_bound_and_no_less(norm: float, on: Any) -> None:
    proof = by_product(net(), norm, on)
    assert proof.verify()
    assert not dataclasses.replace(proof, upper=proof.upper * (1 - 1e-9)).verify()


@pytest.mark.parametrize("norm", [1, 2, math.inf])
@pytest.mark.parametrize("on", [BOX, BALL], ids=["box", "ball"])
def test_bounds_of_the_jacobian_prove_their_bound_and_no_less(norm: float, on: Any) -> None:
    graph, domain = net(), Domain.of(net(), on)
    found = units(graph, domain.intervals(graph))
    assert found is not None
    upper = jacobian_on(found, domain, norm).norm(norm)
    proof = Certificate(graph, domain, norm, upper, "jacobian")
    assert proof.verify()
    assert not dataclasses.replace(proof, upper=upper * (1 - 1e-9)).verify()


@pytest.mark.parametrize("norm", [1, 2, math.inf])
def test_regions_prove_the_constant_and_no_less(norm: float) -> None:
    graph = net()
    A, _ = matrices(graph, sg.enumerate_regions(graph, BOX).inputs())
    exact = float(norms(A, norm).max())
    proof = Certificate(graph, Domain.of(graph, BOX), norm, exact * (1 + 1e-9), "regions")
    assert proof.verify()
    assert not dataclasses.replace(proof, upper=exact * (1 - 1e-9)).verify()
    assert not dataclasses.replace(proof, domain=Domain()).verify()


def test_regions_of_fixed_entries_do_not_count_them() -> None:
    """Entries that cannot move add nothing to the norm."""
    graph = net()
    low, high = torch.tensor([-1.0, 0.5, -1.0]), torch.tensor([1.0, 0.5, 1.0])
    cells = sg.enumerate_regions(graph, sg.Box(low, high))
    A, _ = matrices(graph, cells.inputs())
    exact = float(norms(A[:, :, [0, 2]], 2).max())
    proof = Certificate(graph, Domain.of(graph, sg.Box(low, high)), 2, exact * (1 + 1e-9), "regions")
    assert proof.verify()
    assert not dataclasses.replace(proof, upper=exact * (1 - 1e-9)).verify()


@pytest.fixture(scope="module")
def tree() -> Certificate:
    graph = net()
    found = units(graph)
    assert found is not None
    done = branch(found, tol=1e-3, deadline=time.monotonic() + 5)
    assert done.tree is not None
    return Certificate(graph, Domain(), 2, done.upper, "tree", done.tree.arrays())


def test_trees_prove_their_bound_and_no_less(tree: Certificate, tmp_path: Path) -> None:
    assert tree.verify()
    assert load_certificate(tree.save(tmp_path / "tree.npz"), tree.graph).verify()
    assert not dataclasses.replace(tree, upper=tree.upper * 0.99).verify()
    assert not dataclasses.replace(tree, domain=Domain.of(tree.graph, BOX), arrays={}).verify()


@pytest.mark.parametrize("name", ["unit", "children", "kind", "start", "data"])
def test_no_array_of_a_tree_can_be_changed_or_left_out(tree: Certificate, name: str) -> None:
    arrays = dict(tree.arrays)
    held = arrays.pop(name)
    assert not dataclasses.replace(tree, arrays=arrays).verify()
    wrong = 0.5 * held if name == "data" else 1 - held if name == "kind" else held[::-1].copy() + 1
    for changed in (wrong, held[:-1]):
        assert not dataclasses.replace(tree, arrays={**arrays, name: changed}).verify()


def test_other_weights_are_proved_anew() -> None:
    """A certificate keeps no number of the network, so that one of larger weights refutes it."""
    for proof in (semidefinite(net.__wrapped__()), by_product(net.__wrapped__())):
        with torch.no_grad():
            next(iter(proof.graph.parameters())).mul_(1.5)
        assert not proof.verify()


def test_a_wider_domain_refutes_multipliers() -> None:
    torch.manual_seed(0)
    graph = net.__wrapped__(activation=nn.Tanh)
    with torch.no_grad():
        next(iter(graph.parameters())).mul_(5)
    far = sg.Box(torch.full((3,), 2.0), torch.full((3,), 2.1))
    proof = semidefinite(graph, far)
    assert proof.verify()
    assert not dataclasses.replace(proof, domain=Domain()).verify()


def test_units_that_are_not_the_network_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in taking a network apart is seen at points: here outputs that came out too small."""
    proof = semidefinite(net())
    whole = checking.units

    def faulty(*args: Any) -> Any:
        found = whole(*args)
        assert found is not None
        return dataclasses.replace(found, outputs=0.9 * found.outputs)

    monkeypatch.setattr(checking, "units", faulty)
    assert not proof.verify()


def test_the_margin_covers_rounding() -> None:
    """Of a matrix that is singular at rho, the least float above does not prove it, a relative 1e-9 does."""
    proof = semidefinite(net())
    T = proof.arrays["T"]
    found = units(proof.graph)
    assert found is not None
    least, _ = Inequality(found).least(T)
    assert not dataclasses.replace(proof, upper=math.sqrt(np.nextafter(least, math.inf))).verify()
    assert dataclasses.replace(proof, upper=math.sqrt(least * (1 + 1e-9))).verify()


# files


@pytest.mark.parametrize("on", [None, BOX, BALL], ids=["space", "box", "ball"])
@pytest.mark.parametrize("kind", [semidefinite, by_product])
def test_a_file_holds_all_of_it(on: Any, kind: Callable[..., Certificate], tmp_path: Path) -> None:
    graph = net()
    proof = kind(graph, on=on)
    read = load_certificate(proof.save(tmp_path / "proof.npz"), graph)
    assert read.upper == proof.upper
    assert (read.norm, read.kind, repr(read)) == (proof.norm, proof.kind, repr(proof))
    assert (read.domain.boxes is None) == (on is None)
    if read.domain.boxes is not None and proof.domain.boxes is not None:
        assert torch.equal(read.domain.boxes[0].lower, proof.domain.boxes[0].lower.double())
    assert (read.domain.ball is None) == (on is not BALL)
    assert read.verify()
    assert json.dumps(read.to_dict(), allow_nan=False) == json.dumps(proof.to_dict())


def _rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], None], *, honest: bool) -> None:
    """Change the header or arrays of a file; an honest forger writes a fitting checksum too."""
    with np.load(path, allow_pickle=False) as held:
        arrays = {name: held[name].copy() for name in held.files}
    header = json.loads(arrays.pop("header").tobytes())
    change(header, arrays)
    if honest:
        header.pop("sha256")
        header["sha256"] = certificate_file._digest(header, arrays)
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    np.savez_compressed(path, header=text, **arrays)


def _upper(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["upper"] = (float.fromhex(header["upper"]) * 0.99).hex()


def _nan(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["upper"] = "nan"


def _norm(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["norm"] = "1"


def _third(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["norm"] = "3"


def _kind(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["kind"] = "product"


def _none(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["kind"] = "guess"


def _domain(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["upper_0"] = arrays["upper_0"] + 2


def _empty(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["upper_0"] = arrays["lower_0"] - 1


def _missing(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    del arrays["lower_0"]


def _multipliers(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["proof_T"] = 0.9 * arrays["proof_T"]


def _weights(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["weights_sha256"] = "0" * 64


def _format(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["format"] = "splinegraph lipschitz certificate 99"


def _inputs(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    header["inputs"] = [[4]]


CHANGES = (
    _upper, _nan, _norm, _third, _kind, _none, _domain, _empty, _missing, _multipliers, _weights, _format, _inputs,
)  # fmt: skip


@pytest.mark.parametrize("honest", [False, True], ids=["checksum", "forged"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_is_changed_in_a_file_is_seen(
    change: Callable[[dict[str, Any], dict[str, Any]], None], honest: bool, tmp_path: Path
) -> None:
    graph = net()
    near = sg.Box(torch.full((3,), -0.1), torch.full((3,), 0.1))
    path = semidefinite(graph, near).save(tmp_path / "proof.npz")
    _rewritten(path, change, honest=honest)
    try:
        read = load_certificate(path, graph)
    except sg.SplineGraphError:
        return
    assert honest  # the checksum refuses what is not
    assert not read.verify()


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    graph = net()
    path = semidefinite(graph).save(tmp_path / "proof.npz")
    held = path.read_bytes()
    draw = np.random.default_rng(0)
    for stop in [0, 1, 10, len(held) // 2, len(held) - 1]:
        path.write_bytes(held[:stop])
        with pytest.raises(DataError):
            load_certificate(path, graph)
    for place in draw.integers(0, len(held), 60).tolist():
        broken = bytearray(held)
        broken[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(bytes(broken))
        try:  # a few bytes of a zip file say nothing that is read
            read = load_certificate(path, graph)
        except DataError:
            continue
        assert read.verify()
    with pytest.raises(DataError, match="no file"):
        load_certificate(tmp_path / "none.npz", graph)


def test_pickles_and_other_arrays_are_refused(tmp_path: Path) -> None:
    graph, path = net(), tmp_path / "proof.npz"
    np.savez(path, header=np.array([{"format": certificate_file.FORMAT}], dtype=object))
    with pytest.raises(DataError, match="no certificate"):
        load_certificate(path, graph)
    path.write_bytes(pickle.dumps({"format": certificate_file.FORMAT}))
    with pytest.raises(DataError, match="no certificate"):
        load_certificate(path, graph)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(DataError, match="no certificate"):
        load_certificate(path, graph)
    np.save(tmp_path / "proof.npy", np.zeros(3))
    with pytest.raises(DataError, match="no certificate"):
        load_certificate(tmp_path / "proof.npy", graph)


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    path = semidefinite(net(0)).save(tmp_path / "proof.npz")
    with pytest.raises(DataError, match="other weights"):
        load_certificate(path, net(1))


def test_only_known_kinds() -> None:
    with pytest.raises(ValueError, match="kind"):
        Certificate(net(), Domain(), 2, 1.0, "guess")  # type: ignore[arg-type]
