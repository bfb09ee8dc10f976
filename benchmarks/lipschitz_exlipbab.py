"""ExLipBaB, the branch and bound of Splittgerber (2026, after LipBaB by Bhowmick et al. 2021), as it is published.

<https://github.com/tsplittg/ExLipBaB_Code>, with GLPK. It splits a box by the first unit whose sign is open, keeps
polytopes in input space, and bounds norms of Jacobians by interval products.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import sys
import time
import types
from typing import Any

from torch import Tensor

from benchmarks.lipschitz_nets import Layers

__all__ = ["exlipbab"]


def exlipbab(layers: Layers, low: Tensor, high: Tensor, norm: float, timeout: float) -> dict[str, Any]:
    """Return its two bounds and CPU seconds."""
    if (
        "mosek" not in sys.modules and importlib.util.find_spec("mosek") is None
    ):  # imported, and asked for one name, even where GLPK is to be used
        sys.modules["mosek"] = _named("mosek", iparam=types.SimpleNamespace(log=None))
    from cvxopt import solvers
    from exlipbab.exlipbab_main import exlipbab_main
    from exlipbab.helper_classes.piece_wise_linear_function import PWL_Identity, PWL_Relu
    from exlipbab.helper_classes.polyhedron import Polyhedron

    solvers.options.update({"show_progress": False, "glpk": {"msg_lev": "GLP_MSG_OFF"}})
    network = list(itertools.chain.from_iterable(((w.numpy(), b.numpy()), PWL_Relu(len(b))) for w, b in layers))
    network[-1] = PWL_Identity(len(layers[-1][1]))
    domain = Polyhedron.from_intervals(list(zip(low.reshape(-1).tolist(), high.reshape(-1).tolist(), strict=True)))
    begun = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lower, upper, *_ = exlipbab_main(network, domain, pnorm=norm, verbose=False, timeout=timeout)
    return {"lower": float(lower), "upper": float(upper), "seconds": time.process_time() - begun}


def _named(name: str, **entries: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(entries)
    return module
