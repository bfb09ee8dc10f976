"""The public names are those of `__all__`, documented, and load lazily."""

from __future__ import annotations

import subprocess
import sys

import pytest

import splinegraph as sg


def test_all_names_resolve_and_lists_agree() -> None:
    assert set(sg.__all__) == set(sg._MODULES)
    assert sg.__all__ == sorted(sg.__all__, key=lambda n: (n[0].islower(), n))
    assert set(sg.__all__) <= set(dir(sg))


@pytest.mark.parametrize("name", sg.__all__)
def test_every_name_is_documented(name: str) -> None:
    item = getattr(sg, name)
    assert item.__name__ == name
    assert (item.__doc__ or "").strip().splitlines()[0].endswith((".", ".``"))


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'regions'"):
        _ = sg.regions


def test_import_does_not_load_torch() -> None:
    code = "import sys, splinegraph; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
