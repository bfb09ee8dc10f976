"""Table 3. Frameworks with a similar inverse.

The paper: sparse coding, NMF, PCA, wavelet thresholding, best basis and k-NN, each written as coefficients α_i and a
function f whose derivative gives the atoms, have the same inverse as a network, the sum of α_i df(x)_i/dx.

What is true: PCA, sparse coding and hard thresholding, as printed. Soft thresholding needs max(|<x, W_i>| - b, 0)
sign<x, W_i>: the printed formula drops all negative coefficients. NMF needs α >= 0 too. 'Best basis' is right for
atoms of norm 1 only: the atom has the largest |<x, W_i>| / |W_i|. 'k-NN' is one nearest neighbour, or vector
quantisation, the largest <x, W_i> - |W_i|²/2, with W_i itself as the reconstruction. And a network's A[x]^T f(x) is
no inverse: the least-squares one is the pseudo-inverse of A[x] applied to f(x) - b[x], and even that leaves out what
its templates do not span. Images of A[x]^T f(x) are drawn in a scale of their own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import splinegraph as sg
from examples.digits_cnn import model
from examples.paper.page import Page, Setting
from examples.paper.style import canvas

DIGITS = Path(__file__).parents[1] / "digits.npz"
SPEND = 8
"""Coefficients per image in the picture."""


def reconstructions(x: Tensor, graph: sg.SplineGraph) -> dict[str, Tensor]:
    """Return the first images as each framework gives them back."""
    codes, shape = sg.frameworks, x.shape[1:]
    W = codes.haar_basis(shape[1:]).reshape(-1, *shape)
    few, rest = x[:6], x[6:]
    products = (rest.flatten(1).double() @ W.flatten(1).T).abs()
    level = float(products.flatten().kthvalue(products.numel() - SPEND * len(rest)).values)
    learned = codes.sparse_coding(rest[:120], 48, penalty=0.4).atoms
    found = {
        "input": few.double(),
        f"PCA, {SPEND} atoms": codes.pca(few, codes.pca(rest, SPEND).atoms).reconstruction,
        f"NMF, {SPEND} atoms": codes.nmf(few, codes.nmf(rest, SPEND).atoms).reconstruction,
        "sparse coding": codes.sparse_coding(few, learned, penalty=0.4).reconstruction,
        "soft thresholding": codes.soft_thresholding(few, W, threshold=level).reconstruction,
        "hard thresholding": codes.hard_thresholding(few, W, threshold=level).reconstruction,
        "best atom": codes.best_atom(few, rest).reconstruction,
        "nearest atom": codes.nearest_atom(few, rest).reconstruction,
        "network, least squares": sg.invert(graph, few, kind="least_squares").reconstruction,
        "network, A[x]ᵀ f(x)": sg.invert(graph, few, kind="adjoint").reconstruction,
    }
    return {name: value.detach().reshape(len(few), *shape[1:]) for name, value in found.items()}


def draw(setting: Setting) -> Page:
    """Draw reconstructions, and return errors beside numbers of coefficients."""
    with np.load(DIGITS) as data:
        x = torch.from_numpy(data["x"])
    graph = sg.trace(model, x[:1])
    pictures = reconstructions(x, graph)
    count = len(pictures["input"])
    figure = canvas(9.2, 5.9)
    axes = figure.subplots(count, len(pictures))
    for column, (name, images) in enumerate(pictures.items()):
        title = (
            name.replace(", ", ",\n").replace(" thresh", "\nthresh").replace(" atom", "\natom", name.count(",") == 0)
        )
        axes[0, column].set_title(title.replace("sparse ", "sparse\n"), fontsize=8)
        for i in range(count):
            ax = axes[i, column]
            # A[x]^T f(x) is out of scale: it is drawn with its own
            top = float(images[i].abs().max()) if "ᵀ" in name else 1.0
            ax.imshow(images[i].numpy(), cmap="gray_r", vmin=0, vmax=top)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_color("0.8")
    table = sg.compare_frameworks(x, graph, budgets=(1, 8, 32))
    rows = [(r.method, str(r.atoms), f"{r.coefficients:.1f}", f"{r.error:.3f}", r.beside or "nothing") for r in table]
    head = ("framework", "atoms", "coefficients per image", "relative squared error", "what has to be known besides")
    return Page(
        figure, (head, *rows), (f"Errors on {table.held_out} digits, atoms learned from {table.fitted} others.",)
    )
