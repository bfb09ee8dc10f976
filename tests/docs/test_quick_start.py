"""What the quick start says to type works, in that order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from splinegraph.cli.main import main

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"^```(console|python)\n(.*?)^```", (ROOT / "docs/quick-start.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder with the examples in it, as the current one."""
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    (tmp_path / "build").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands() -> list[list[str]]:
    lines = [line[2:] for kind, block in BLOCKS if kind == "console" for line in block.splitlines()]
    ours = [line for line in lines if line.startswith("splinegraph ")]
    assert set(lines) - set(ours) == {"make demo", "source .venv/bin/activate"}
    return [shlex.split(line)[1:] for line in ours]


def test_its_commands_are_well_formed(folder: Path) -> None:
    assert len(commands()) > 4
    for name, *arguments in commands():
        main.commands[name].make_context(name, arguments)


@pytest.mark.slow
def test_every_block_does_what_it_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write, use = (block for kind, block in BLOCKS if kind == "python")
    exec(compile(write, "quick-start.md", "exec"), {})
    for line in commands():
        done = CliRunner().invoke(main, line)
        assert done.exit_code == 0, done.output
    assert {"report.json", "report.html"} <= {file.name for file in (folder / "build/first").iterdir()}
    assert (folder / "build/net.svg").stat().st_size > 1000
    assert (folder / "build/slice/regions.json").is_file()
    exec(compile(use, "quick-start.md", "exec"), {})
    assert "exact" in capsys.readouterr().out
