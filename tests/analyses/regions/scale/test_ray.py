"""The same tasks on Ray; skipped where Ray is not installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from splinegraph.analyses.regions.scale.distribute import distribute
from splinegraph.errors import MissingDependencyError
from tests.analyses.regions.scale.tree import Tree

TREE = Tree(11, slow=0.01)
ALL = Tree(11).run(None, limit=10**9)[0]


def test_without_ray_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from splinegraph.analyses.regions.scale.ray_pool import RayPool

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"splinegraph\[ray\]"):
        RayPool(TREE, 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ray_gives_what_one_worker_gives_and_survives_a_death(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    from splinegraph.analyses.regions.scale.ray_pool import RayPool

    poison = Tree(11, slow=0.01, poison=bytes(ALL.packed[700][:6]), deaths=1, notes=str(tmp_path))
    found = distribute(poison, pool=RayPool(poison, 2), full=100)
    assert len(list(tmp_path.iterdir())) == 1
    assert "died" in found.notes[0]
    have = found.cells
    assert have is not None
    assert np.array_equal(have.packed, ALL.packed)
