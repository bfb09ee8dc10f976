"""`splinegraph doctor`: what it finds, and that nothing it meets ends in a traceback."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from splinegraph.cli import doctor_machine, doctor_packages, doctor_work
from splinegraph.cli.doctor_work import FORMAT, Finding, examine, to_dict
from splinegraph.errors import DataError
from tests.cli.conftest import Run


def named(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_here_all_that_is_needed_works(splinegraph: Run) -> None:
    result = splinegraph("doctor", "--json", "-")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["format"] == FORMAT
    assert told["works"] is True
    found = {row["name"]: row for row in told["findings"]}
    assert found["torch"]["value"] == torch.__version__
    assert found["numpy"]["needed"] is True
    assert {"ray", "onnx", "cuda", "mps", "memory", "compiled code", "data sets", "output"} <= set(found)
    steps = [row for row in told["findings"] if row["part"] == "smoke test"]
    assert [row["name"] for row in steps] == ["trace", "regions", "bounds", "figure"]
    assert {row["status"] for row in steps} == {"ok"}
    assert {row["status"] for row in told["findings"]} <= {"ok", "missing", "warning", "broken"}


def patched(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    monkeypatch.setattr(doctor_work, "PARTS", (("part", lambda: findings),))


def test_the_table_and_the_exit_code(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    good = Finding("packages", "torch", "2.13.0", needed=True)
    missing = Finding("optional packages", "onnx", "not installed", "missing", remedy="pip install 'splinegraph[onnx]'")
    patched(monkeypatch, good, missing)
    result = splinegraph("doctor")
    assert result.exit_code == 0
    assert "all that is needed works" in result.stdout
    assert "pip install 'splinegraph[onnx]'" in result.stdout
    assert splinegraph("doctor", "--quiet").stdout == ""
    patched(monkeypatch, good, Finding("optional packages", "ray", "[bold]broken[/bold]", "broken"))
    assert splinegraph("doctor").exit_code == 0  # nobody needs it
    patched(monkeypatch, good, Finding("packages", "numpy", "[bold]1.0", "broken", needed=True))
    result = splinegraph("doctor", "--quiet", "--json", "found.json")
    assert result.exit_code == 1
    assert "[bold]1.0" in result.stdout
    assert "torch" not in result.stdout
    assert json.loads(Path("found.json").read_text())["works"] is False


def test_a_file_that_cannot_be_written_is_one_line(splinegraph: Run) -> None:
    result = splinegraph("doctor", "--json", "no/such/folder.json")
    assert result.exit_code == 2
    assert result.stderr.startswith("splinegraph: error: cannot write")


def test_a_part_that_fails_is_a_finding() -> None:
    def fails() -> Iterator[Finding]:
        yield Finding("packages", "python", "3")
        raise OSError("the disk\nis gone")

    found = examine([("packages", fails), ("machine", lambda: [Finding("machine", "memory", "1 GiB")])])
    assert [finding.name for finding in found] == ["python", "packages", "memory"]
    assert found[1].value == "OSError: the disk is gone"
    assert not to_dict(found)["works"]


def test_packages_that_are_missing_old_or_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"onnx": None, "networkx": "1.0", "ray": "9.9"}
    real_version, real_import = metadata.version, importlib.import_module

    def version(name: str) -> str:
        found = versions.get(name, real_version(name) if name not in versions else None)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    def load(name: str, package: str | None = None) -> Any:
        if name in ("ray", "cvxpy"):
            raise ImportError(f"lib{name}.so: cannot open shared object file")
        return sys.modules.get(name) or real_import(name, package)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(importlib, "import_module", load)
    found = named(list(doctor_packages.packages()))
    assert (found["onnx"].status, found["onnx"].remedy) == ("missing", "pip install 'splinegraph[onnx]'")
    assert (found["networkx"].status, found["networkx"].needed) == ("broken", True)
    assert found["networkx"].value == "1.0, >=3.2 is needed"
    assert found["ray"].value == "9.9 cannot be imported: ImportError: libray.so: cannot open shared object file"
    assert (found["ray"].status, found["ray"].needed) == ("broken", False)
    assert (found["cvxpy"].status, found["cvxpy"].needed) == ("broken", True)
    assert found["pillow"].status == "ok"
    assert "hypothesis" not in found  # of an extra for developers


def test_a_smoke_test_stops_at_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: dict[str, Any]) -> tuple[str, bool]:
        raise DataError("no square", why="it is round")

    monkeypatch.setattr(doctor_work, "_regions", broken)
    found = list(doctor_work._smoke())
    assert [(finding.name, finding.status) for finding in found] == [("trace", "ok"), ("regions", "broken")]
    assert found[1].value == "no square: it is round"


def test_devices_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        name, total_memory = "A device", 80 * 2**30

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: Properties)
    # without a driver the kernel fails, and that is told
    monkeypatch.setattr(torch, "arange", lambda *a, **k: (_ for _ in ()).throw(RuntimeError("no\ndriver")))
    (found,) = doctor_machine._cuda()
    assert (found.name, found.status, found.needed) == ("cuda:0", "broken", False)
    assert found.value.startswith("A device, 80 GiB, CUDA")
    assert found.value.endswith("RuntimeError: no driver")


def test_what_the_machine_does_not_tell_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unknown() -> Finding:
        raise ValueError("no such name")

    monkeypatch.setattr(doctor_machine, "_memory", unknown)
    monkeypatch.setattr(doctor_machine, "_writable", lambda place: False)
    monkeypatch.setenv("SPLINEGRAPH_DATA", str(tmp_path / "data"))
    found = named(list(doctor_machine.machine()))
    assert (found["memory"].status, found["memory"].value) == ("warning", "ValueError: no such name")
    assert "NUMBA_CACHE_DIR" in found["compiled code"].remedy
    assert found["data sets"].remedy == "set SPLINEGRAPH_DATA to a folder of yours"
    assert not any(finding.status == "broken" for finding in found.values())


def test_sizes_limits_and_folders(tmp_path: Path) -> None:
    assert [doctor_machine._size(n) for n in (10, 2048, 3 * 2**30, 2**41)] == ["10 B", "2 KiB", "3 GiB", "2 TiB"]
    (tmp_path / "limit").write_text("1024\n")
    (tmp_path / "none").write_text("max\n")
    assert [doctor_machine._limit(tmp_path / name) for name in ("limit", "none", "absent")] == [1024, None, None]
    assert doctor_machine._writable(tmp_path / "not" / "yet")
    assert not (tmp_path / "not").exists()
