"""The help: every command is listed, every example parses, and all fits into 80 columns."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from splinegraph.cli.main import PURPOSES, main

LINE = re.compile(r"^ +splinegraph .*$", re.MULTILINE)


def examples(help_text: str) -> list[list[str]]:
    """Return the arguments of each line that shows the command, without what it is piped into."""
    joined = re.sub(r"\\\n +", "", help_text)
    words = [shlex.split(line.split(" | ")[0]) for line in LINE.findall(joined)]
    return [line[1:] for line in words]


def helped(name: str) -> str:
    arguments = [name, "--help"] if name else ["--help"]
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, arguments, prog_name="splinegraph")
    assert result.exit_code == 0, result.output
    return result.output


def parsed(arguments: list[str]) -> click.Context:
    """Return the context of a command line, nothing run."""
    return main.commands[arguments[0]].make_context(arguments[0], arguments[1:])


@pytest.mark.parametrize("name", ["", *main.commands])
def test_every_example_parses(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = examples(helped(name))
    assert len(found) >= 2
    for arguments in found:
        assert name in ("", arguments[0])
        parsed(list(arguments))


def test_an_example_that_rots_is_seen() -> None:
    broken = "Examples:\n  splinegraph trace model.py \\\n    --treee\n"
    (arguments,) = examples(broken)
    assert arguments == ["trace", "model.py", "--treee"]
    with pytest.raises(click.NoSuchOption):
        parsed(arguments)


@pytest.mark.parametrize("name", ["", *main.commands])
def test_the_help_fits_into_80_columns(name: str) -> None:
    assert [line for line in helped(name).splitlines() if len(line) > 80] == []


def test_the_main_help_lists_each_command_once_by_purpose() -> None:
    listed = [name for names in PURPOSES.values() for name in names]
    assert sorted(listed) == sorted(main.commands)
    text = helped("")
    for purpose, names in PURPOSES.items():
        block = text.split(f"{purpose}:\n")[1].split("\n\n")[0]
        assert [line.split()[0] for line in block.splitlines()] == list(names)
        assert all(len(line.split()) > 3 for line in block.splitlines())


def test_a_command_of_no_purpose_is_listed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {**main.commands, "more": click.Command("more", short_help="Do something else.")}
    monkeypatch.setattr(main, "commands", more)
    assert "Other commands:\n  more       Do something else.\n" in helped("")
