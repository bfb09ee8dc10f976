"""The gallery of the paper's figures and tables: every one is there, says what is true, and can be made again."""

from __future__ import annotations

import html.parser
import json
from pathlib import Path

import pytest

from examples.paper import figure_01, figure_04, figure_16
from examples.paper.gallery import LARGEST, NAMES, main, make, script
from examples.paper.index import block, paragraphs, section, table_lines
from examples.paper.page import Page, Setting

FOLDER = Path(__file__).parents[2] / "examples" / "paper"
QUICK = (
    "figure_01",
    "figure_02",
    "figure_04",
    "figure_06",
    "figure_07",
    "figure_11",
    "figure_14",
    "table_1",
    "table_2",
)
ALL = 2_000_000
BARELY = "ignore:all 359 test samples are put into class"  # a few steps of training tell nothing apart


class Tags(html.parser.HTMLParser):
    """Tells whether every tag is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.images += tag == "img"
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gallery")
    assert main([*QUICK, "--out", str(folder)]) == 0
    return folder


def test_every_figure_and_table_of_the_list_is_there() -> None:
    assert set(NAMES) == {f"figure_{n:02d}" for n in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18)} | {
        "table_1", "table_2", "table_3"
    }  # fmt: skip
    assert {path.stem for path in FOLDER.glob("*.py") if path.stem[-1].isdigit()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_script_says_what_the_paper_says_and_what_is_true(name: str) -> None:
    title, *text = paragraphs(script(name).__doc__ or "")
    kind, number = name.split("_")
    assert title.startswith(f"{kind.capitalize()} {int(number)}. ")
    assert [part[:8] for part in text] == ["**The pa", "**What i"]


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_index_has_the_texts_and_the_pictures(name: str) -> None:
    readme = (FOLDER / "README.md").read_text()
    title, *text = paragraphs(script(name).__doc__ or "")
    assert "## " + title.rstrip(".") in readme
    assert all(part in readme for part in text)
    if name.startswith("figure"):
        assert f"({name}.png)" in readme
        assert 0 < (FOLDER / f"{name}.png").stat().st_size <= LARGEST


def test_committed_pictures_are_small_and_all_used() -> None:
    pictures = list(FOLDER.glob("*.png"))
    assert sum(path.stat().st_size for path in pictures) <= ALL
    readme = (FOLDER / "README.md").read_text()
    assert all(f"({path.name})" in readme for path in pictures)
    for word in ("inhibitor", "DINN", "PSD"):
        assert word in readme


@pytest.mark.slow
def test_quick_scripts_run_and_write_their_pictures(made: Path) -> None:
    records = {name: json.loads((made / f"{name}.json").read_text()) for name in QUICK}
    for name, record in records.items():
        if record["picture"]:
            assert 1000 < (made / record["picture"]).stat().st_size <= LARGEST
        else:
            assert record["table"], name
    page = (made / "index.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert tags.images == sum(record["picture"] is not None for record in records.values())


@pytest.mark.slow
def test_what_is_measured_is_what_the_texts_say(made: Path) -> None:
    def told(name: str) -> str:
        return " ".join(json.loads((made / f"{name}.json").read_text())["measured"])

    assert "is the identity of 27 entries: True" in told("figure_01")
    assert "rolls of its first, exactly; with zeros around the image 68 of its 324 entries are gone" in told(
        "figure_02"
    )
    assert "5 of the 6 intersections" in told("figure_04")
    assert "34 paths in all, which is C(7, 3) - 1" in told("figure_06")
    assert told("figure_07").endswith("says CONVEX and NEITHER.")
    assert "(3, 3, 3) and (2, 2, 2)" in told("figure_14")


@pytest.mark.slow
def test_tables_of_operators(made: Path) -> None:
    nonlinear, pooling = (json.loads((made / f"table_{n}.json").read_text())["table"][1:] for n in (1, 2))
    assert [row[2] for row in nonlinear] == ["8 of 2^3"] * 3
    assert [row[4] for row in nonlinear] == ["exactly"] * 3
    assert nonlinear[2][-2:] == ["-1", "0"]  # torch's gradient of |x| at 0 is no slope of it
    assert [tuple(map(int, row[1:3])) for row in pooling] == [(4, 4), (4, 4), (8, 8), (8, 6), (16, 14), (1, 1)]
    assert {row[3] for row in pooling} == {"yes"}


def test_one_script_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(setting: Setting) -> Page:
        raise ValueError("nothing to draw")

    monkeypatch.setattr(figure_01, "draw", broken)
    assert main(["figure_01", "figure_04", "--out", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "figure_01 failed: nothing to draw" in out
    assert out.rstrip().endswith("failed: figure_01")
    assert "ValueError" in err
    assert (tmp_path / "figure_04.png").is_file()
    readme = (tmp_path / "README.md").read_text()
    assert "Figure 4." in readme
    assert "Figure 1." not in readme


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["figure_3"], "there is no figure_3: give some of figure_01"),
        (["--effort", "0"], "give a positive number"),
        (["--data", "imagenet"], "invalid choice"),
    ],
)
def test_bad_options_are_one_line(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_index_keeps_signs_and_bars() -> None:
    table = table_lines((("a", "b"), ("|x|", "u < v & w")))
    assert table[2] == r"| \|x\| | u < v & w |"
    shown = block("\n".join(table))
    assert "<td>|x|</td><td>u &lt; v &amp; w</td>" in shown
    record = {"text": figure_04.__doc__, "measured": (), "dataset": "digits", "picture": None, "table": ()}
    assert "**Here:** Drawn on digits." in section(record)


@pytest.mark.slow
@pytest.mark.filterwarnings(BARELY)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in QUICK])
def test_scripts_that_train_or_load_networks(name: str, trained: Setting) -> None:
    record = make(name, trained)
    assert (trained.out / record["picture"]).stat().st_size > 1000


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("trained"), effort=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings(BARELY)
def test_networks_are_trained_once(tmp_path: Path) -> None:
    first = Setting(tmp_path, effort=0.02).network("small-cnn-mean")
    file = next((tmp_path / "networks").glob("digits-small-cnn-mean-6.pt"))
    written = file.stat().st_mtime_ns
    again = Setting(tmp_path, effort=0.02)
    assert again.network("small-cnn-mean").accuracy == first.accuracy
    assert file.stat().st_mtime_ns == written
    assert figure_16.draw(again).table[0][0] == "layer"
