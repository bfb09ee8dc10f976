"""Table 3 of the paper: every code beside a theorem, brute force, cvxpy or scikit-learn; and what is printed wrong.

scikit-learn is imported where it is used: it is slow, and every worker of pytest-xdist imports this file.
"""

from __future__ import annotations

import itertools
import json

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import Tensor

from splinegraph.analyses.encoding import frameworks as fw
from splinegraph.errors import DataError, ShapeError, SplineGraphError


@pytest.fixture
def X() -> Tensor:
    return torch.randn(12, 6, dtype=torch.float64)


def atoms(count: int, size: int = 6) -> Tensor:
    return torch.randn(count, size, dtype=torch.float64)


def orthonormal(size: int = 6) -> Tensor:
    return torch.linalg.qr(atoms(size, size)).Q


def test_the_loss_of_principal_components_is_the_tail_of_the_singular_values(X: Tensor) -> None:
    from sklearn.decomposition import PCA

    s = torch.linalg.svdvals(X)
    for k in range(1, 7):
        assert fw.pca(X, k).objective == pytest.approx(float(s[k:].square().sum()), abs=1e-12)
    centred = X - X.mean(0)
    other = PCA(3).fit(centred.numpy())
    again = other.inverse_transform(other.transform(centred.numpy()))
    torch.testing.assert_close(fw.pca(centred, 3).reconstruction, torch.from_numpy(again))
    W = orthonormal()[:2]
    assert fw.pca(X, W).objective >= fw.pca(X, 2).objective
    with pytest.raises(ShapeError, match="not orthonormal"):
        fw.pca(X, 2 * W)


@pytest.mark.parametrize("penalty", [0.01, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("count", [4, 15])
def test_sparse_codes_are_least_by_a_proof_and_by_cvxpy(X: Tensor, penalty: float, count: int) -> None:
    W = atoms(count) * torch.rand(count, 1, dtype=torch.float64)
    found = fw.sparse_coding(X, W, penalty=penalty)
    d = W / W.square().sum(1, keepdim=True)
    assert 0 <= found.gap <= 1e-10 * found.energy
    code = cp.Variable((len(X), count))
    cost = cp.sum_squares(X.numpy() - code @ d.numpy()) + penalty * cp.sum(cp.abs(code))
    assert found.objective == pytest.approx(cp.Problem(cp.Minimize(cost)).solve(solver=cp.CLARABEL), abs=1e-6)


def test_sparse_codes_are_those_of_scikit_learn(X: Tensor) -> None:
    from sklearn.decomposition import SparseCoder

    W = atoms(15)
    W = W / W.norm(dim=1, keepdim=True)
    coder = SparseCoder(W.numpy(), transform_algorithm="lasso_lars", transform_alpha=0.25)
    again = torch.from_numpy(coder.transform(X.numpy()))  # half of our loss, and the penalty once
    torch.testing.assert_close(fw.sparse_coding(X, W, penalty=0.5).code, again, atol=1e-6, rtol=1e-6)


def test_learned_atoms_have_norm_one_and_use_fewer_coefficients() -> None:
    truth = atoms(8, 10)
    code = torch.randn(60, 8, dtype=torch.float64) * (torch.rand(60, 8) < 0.2)
    X = code @ truth
    found = fw.sparse_coding(X, 8, penalty=0.05)
    torch.testing.assert_close(found.atoms.norm(dim=1), torch.ones(8, dtype=torch.float64))
    assert found.relative < 0.01
    assert found.gap == float("inf")
    assert found.coefficients < 8


def test_soft_thresholding_is_the_lasso_and_the_printed_formula_is_not(X: Tensor) -> None:
    W = orthonormal()
    found, lasso = fw.soft_thresholding(X, W, threshold=0.4), fw.sparse_coding(X, W, penalty=0.8)
    torch.testing.assert_close(found.code, lasso.code)
    c = X @ W.T
    printed = (c - 0.4).clamp(min=0) * c.sign()
    assert float((printed - lasso.code).abs().max()) > 1
    per_atom = fw.soft_thresholding(X, W, threshold=torch.linspace(0, 1, 6))
    assert bool((per_atom.code[:, 0] == c[:, 0]).all())


def test_hard_thresholding_has_the_least_loss_with_so_many_coefficients(X: Tensor) -> None:
    W = orthonormal()
    found = fw.hard_thresholding(X, W, threshold=0.7)
    for x, code, loss in zip(X, found.code, found.loss, strict=True):
        kept = int((code != 0).sum())
        best = min(
            float((x - W[list(s)].T @ (W[list(s)] @ x)).square().sum()) for s in itertools.combinations(range(6), kept)
        )
        assert float(loss) == pytest.approx(best, abs=1e-12)


def test_nonnegative_factors(X: Tensor) -> None:
    from sklearn.decomposition import NMF

    truth = torch.rand(30, 3, dtype=torch.float64) @ torch.rand(3, 8, dtype=torch.float64)
    found = fw.nmf(truth, 3, steps=600)
    assert found.relative < 1e-5
    assert min(float(found.code.min()), float(found.atoms.min())) >= 0
    other = NMF(2, init="random", random_state=0, max_iter=500, tol=0.0).fit(truth.numpy())
    assert fw.nmf(truth, 2).objective <= other.reconstruction_err_**2 * 1.01
    losses = [fw.nmf(truth, 2, steps=steps).objective for steps in (1, 3, 10, 100)]
    assert losses == sorted(losses, reverse=True)
    W = torch.rand(5, 6, dtype=torch.float64)
    given = fw.nmf(X.abs(), W)
    slope = (given.code @ W - X.abs()) @ W.T  # optimal where it is 0 on positive coefficients and nowhere negative
    assert float(slope.min()) > -1e-10
    assert float((slope * given.code).abs().max()) < 1e-10
    for bad, w in ((X, 2), (X.abs(), atoms(2))):
        with pytest.raises(DataError, match="negative entries"):
            fw.nmf(bad, w)


def test_the_best_atom_and_the_one_printed(X: Tensor) -> None:
    W = atoms(9) * torch.logspace(-1, 1, 9, dtype=torch.float64)[:, None]
    found = fw.best_atom(X, W)
    losses = torch.stack([(X - (X @ w / (w @ w))[:, None] * w).square().sum(1) for w in W])
    torch.testing.assert_close(found.loss, losses.amin(0))
    chosen = ((X @ W.T) / W.square().sum(1)).argmax(1)
    printed = (X - (X * W[chosen]).sum(1, keepdim=True) * W[chosen]).square().sum(1)
    assert bool((printed > found.loss + 0.1).any())


def test_the_nearest_atom_is_the_nearest_point() -> None:
    X, W = atoms(2000), torch.cat([atoms(40), torch.zeros(1, 6, dtype=torch.float64)])
    found = fw.nearest_atom(X, W)
    assert torch.equal(found.code.argmax(1), torch.cdist(X, W).argmin(1))
    learned = fw.nearest_atom(X, 20)
    assert learned.gap == float("inf")
    assert learned.relative < fw.nearest_atom(X, W[:20]).relative


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (1, 6), (9,)])
def test_bases_are_orthonormal(shape: tuple[int, ...]) -> None:
    for basis in (fw.haar_basis(shape), fw.cosine_basis(shape)):
        rows = basis.reshape(len(basis), -1)
        assert basis.shape[1:] == shape
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows), dtype=torch.float64))
    step = torch.cat([torch.zeros(4), torch.ones(4)])[None]
    assert int((fw.hard_thresholding(step, fw.haar_basis([8]), threshold=1e-9).code != 0).sum()) == 2


def test_codes_are_what_they_say(X: Tensor) -> None:
    found = fw.hard_thresholding(X, orthonormal(), threshold=0.5)
    torch.testing.assert_close(found.reconstruction, found.code @ found.atoms)
    assert found.relative == pytest.approx(float(found.loss.sum() / X.square().sum()))
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert repr(found).startswith("<Coding by hard thresholding: 12 samples")
    assert np.isnan(fw.pca(torch.zeros(2, 2), 1).relative)


def test_refusals(X: Tensor) -> None:
    for call, text in (
        (lambda: fw.pca(X, 7), "7 atoms"),
        (lambda: fw.pca(X, 0), "atoms is 0"),
        (lambda: fw.best_atom(X, torch.zeros(1, 6)), "an atom is zero"),
        (lambda: fw.best_atom(X, torch.ones(1, 5)), "atoms of 5 entries for samples of 6"),
        (lambda: fw.pca(X * torch.nan, 1), "NaN"),
        (lambda: fw.pca(X[:0], 1), "not empty"),
        (lambda: fw.soft_thresholding(X, orthonormal(), threshold=-1.0), "give a number >= 0"),
        (lambda: fw.sparse_coding(X, 2, penalty=-1.0), "penalty is -1.0"),
        (lambda: fw.sparse_coding(torch.zeros(3, 2), 2, penalty=1.0), "all samples are zero"),
    ):
        with pytest.raises((ShapeError, SplineGraphError), match=text):
            call()
