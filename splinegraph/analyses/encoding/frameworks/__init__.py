"""The other codes of the paper's Table 3, corrected: each takes samples and atoms, and returns a `Coding`.

A code alpha of x has the reconstruction sum_i alpha_i atom_i, as the paper's inverse A[x]^T f(x) has with the
templates as atoms.
"""

from __future__ import annotations

from splinegraph.analyses.encoding.frameworks.bases import cosine_basis, haar_basis
from splinegraph.analyses.encoding.frameworks.choosing import best_atom, nearest_atom
from splinegraph.analyses.encoding.frameworks.coding import Coding
from splinegraph.analyses.encoding.frameworks.factoring import nmf, pca
from splinegraph.analyses.encoding.frameworks.sparse import sparse_coding
from splinegraph.analyses.encoding.frameworks.thresholding import hard_thresholding, soft_thresholding

__all__ = [
    "Coding",
    "best_atom",
    "cosine_basis",
    "haar_basis",
    "hard_thresholding",
    "nearest_atom",
    "nmf",
    "pca",
    "soft_thresholding",
    "sparse_coding",
]
