"""Packages: those that are needed, and those of the extras."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any

from splinegraph.cli.doctor_work import Finding, told

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["packages"]

MODULES = {"scikit-learn": "sklearn", "pillow": "PIL"}
"""What packages are imported as, where that is not their name with underscores."""

NOT_USED = {"dev", "docs"}
"""Extras that no user needs."""

BESIDE = {
    "tensorboard": "not installed: curves of a training go there",
    "onnxruntime": "not installed: ONNX files are compared with it",
}
"""Packages that are used where they are there, and belong to no extra."""


def packages() -> Iterator[Finding]:
    """Yield a finding per package: its version, and whether it can be imported."""
    yield Finding("packages", "python", sys.version.split()[0])
    yield Finding("packages", "splinegraph", metadata.version("splinegraph"))
    wanted = [(extra, found) for extra, found in _required() if extra not in NOT_USED]
    for extra, requirement in wanted:
        if not extra:
            yield _found(requirement.name, "", requirement)
    yield _solvers()
    for extra, requirement in wanted:
        if extra:
            yield _found(requirement.name, extra, requirement)
    for name in BESIDE:
        yield _found(name, name, None)


def _required() -> Iterator[tuple[str, Requirement]]:
    """Yield (extra or '', requirement) as the installed library declares them."""
    from packaging.requirements import Requirement

    extras = metadata.metadata("splinegraph").get_all("Provides-Extra") or []
    for text in metadata.requires("splinegraph") or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}):
            yield "", requirement
        else:
            yield from ((extra, requirement) for extra in extras if marker.evaluate({"extra": extra}))


def _found(name: str, extra: str, requirement: Requirement | None) -> Finding:
    part, needed = ("optional packages", False) if extra else ("packages", True)
    package = extra if requirement is None else f"'splinegraph[{extra}]'" if extra else "splinegraph"
    install = f"pip install {package}"
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        what = BESIDE[name] if name in BESIDE else "not installed"
        return Finding(part, name, what, "broken" if needed else "missing", needed, install)
    specifier = None if requirement is None else requirement.specifier
    if specifier is not None and not specifier.contains(version, prereleases=True):
        return Finding(part, name, f"{version}, {specifier} is needed", "broken", needed, f"{install} --upgrade")
    try:
        importlib.import_module(MODULES.get(name, name.replace("-", "_")))
    except Exception as error:  # noqa: BLE001  # whatever a package does when it is imported
        return Finding(part, name, f"{version} cannot be imported: {told(error)}", "broken", needed, "install it anew")
    return Finding(part, name, version, "ok", needed)


def _solvers() -> Finding:
    """Return which solvers cvxpy has; one for linear and one for semidefinite programs is needed."""
    try:
        cvxpy: Any = importlib.import_module("cvxpy")
        names = sorted(cvxpy.installed_solvers())
    except Exception as error:  # noqa: BLE001  # as above
        return Finding("packages", "solvers", told(error), "broken", needed=True)
    good = bool({"CLARABEL", "SCS"} & set(names))
    remedy = "" if good else "pip install clarabel"
    return Finding("packages", "solvers", ", ".join(names) or "none", "ok" if good else "broken", True, remedy)
