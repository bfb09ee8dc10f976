"""Counting keys and pairs: against dictionaries; keys: against their definition in whole numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splinegraph.analyses.activation import keys as keys_module
from splinegraph.analyses.activation.histograms import Histogram, permuted_purity
from splinegraph.analyses.activation.keys import EXACT, row_keys
from splinegraph.analyses.activation.medoids import medoids, nearest
from splinegraph.analyses.activation.tables import PairTable, Table
from splinegraph.analyses.activation.tally import Tally

Parts = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=8), max_size=5)


@settings(max_examples=40, deadline=None)
@given(parts=Parts)
def test_a_table_is_a_dictionary_in_the_order_of_arrival(parts: list[list[tuple[int, int]]]) -> None:
    table, start = Table.empty(), 0
    number: dict[tuple[int, int], int] = {}
    first: list[int] = []
    counts: Counter[int] = Counter()
    for part in parts:
        table, ids = table.joined(np.array(part, dtype=np.uint64), start)
        for place, key in enumerate(part):
            if key not in number:
                number[key] = len(number)
                first.append(start + place)
            counts[number[key]] += 1
        assert ids.tolist() == [number[key] for key in part]
        start += len(part)
    assert list(map(tuple, table.keys.tolist())) == list(number)
    assert table.first.tolist() == first
    assert table.counts.tolist() == [counts[i] for i in range(len(number))]
    everything = [(a, b) for a in range(4) for b in range(4)]
    assert not parts or table.find(np.array(everything, dtype=np.uint64)).tolist() == [
        number.get(key, -1) for key in everything
    ]


@settings(max_examples=40, deadline=None)
@given(parts=Parts)
def test_a_pair_table_counts_and_weighs(parts: list[list[tuple[int, int]]]) -> None:
    table = PairTable.empty()
    counts: Counter[tuple[int, int]] = Counter()
    mass: Counter[tuple[int, int]] = Counter()
    for part in parts:
        pairs, weights = np.array(part), np.arange(1.0, len(part) + 1)
        table = table.joined(pairs[:, 0], pairs[:, 1], weights)
        for pair, weight in zip(part, weights.tolist(), strict=True):
            counts[pair] += 1
            mass[pair] += weight
    ends = list(zip(*(end.tolist() for end in table.ends), strict=True))
    assert ends == sorted(counts)
    assert table.counts.tolist() == [counts[pair] for pair in ends]
    if parts:
        assert table.mass is not None
        assert table.mass.tolist() == [mass[pair] for pair in ends]


def test_parts_do_not_matter_and_earlier_tallies_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splinegraph.analyses.activation.tally.PENDING", 10)
    rng = np.random.default_rng(0)
    keys = [rng.integers(0, 9, (100, 2)).astype(np.uint64) for _ in range(3)]
    labels = rng.integers(-3, 3, 100)
    whole = Tally().added(keys, labels).settled()
    for size in (1, 7, 99):
        tally, kept = Tally(), []
        for at in range(0, 100, size):
            kept.append(tally)
            tally = tally.added([k[at : at + size] for k in keys], labels[at : at + size])
        tally = tally.settled()
        assert [t.keys.tolist() for t in tally.cells] == [t.keys.tolist() for t in whole.cells]
        assert [t.counts.tolist() for t in tally.steps] == [t.counts.tolist() for t in whole.steps]
        assert [t.counts.sum() for t in tally.members] == [100] * 3
        earlier = kept[len(kept) // 2].settled()  # an interrupted report goes on with these
        assert all(t.counts.sum() == earlier.samples for t in earlier.cells)


def test_short_codes_are_their_own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (50, EXACT), dtype=np.uint8)
    assert row_keys(rows).astype("<u8").tobytes() == rows.tobytes()
    monkeypatch.setattr(keys_module, "_random", None)  # no hash
    assert len(np.unique(row_keys(rows[:, :3]), axis=0)) == len(np.unique(rows[:, :3], axis=0))


@pytest.mark.parametrize("width", [17, 20, 41])
def test_long_codes_are_hashed_as_defined(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_module, "ENTRIES", 12)  # a few rows at a time
    rows = np.random.default_rng(1).integers(0, 256, (9, width), dtype=np.uint8)
    words = -(-width // 4)
    added, factors = keys_module._random(words)
    for row, key in zip(rows, row_keys(rows).tolist(), strict=True):
        text = row.tobytes().ljust(4 * words, b"\0")
        numbers = [int.from_bytes(text[i : i + 4], "little") for i in range(0, len(text), 4)]
        halves = [
            (int(a) + sum(int(m) * s for m, s in zip(f, numbers, strict=True))) % 2**64 >> 32
            for a, f in zip(added, factors, strict=True)
        ]
        assert key == [halves[0] << 32 | halves[1], halves[2] << 32 | halves[3]]


def test_keys_tell_codes_apart_that_differ_in_one_bit() -> None:
    rows = np.zeros((8 * 40 + 1, 40), dtype=np.uint8)
    for bit in range(320):
        rows[bit + 1, bit // 8] = 1 << bit % 8
    assert len(np.unique(row_keys(rows), axis=0)) == len(rows)
    for half in (0, 1):  # each of the four parts is a hash of its own
        assert len(np.unique(row_keys(rows)[:, half])) == len(rows)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_histograms_against_loops(entries: list[tuple[int, int]]) -> None:
    names = sorted({node for node, _ in entries})
    members: list[list[int]] = [[c for n, c in entries if n == node] for node in names]
    rows = sorted({(names.index(n), c) for n, c in entries})
    histogram = Histogram(
        np.array([n for n, _ in rows]), np.array([c for _, c in rows]), np.array([members[n].count(c) for n, c in rows])
    )
    assert histogram.totals.tolist() == [len(m) for m in members]
    assert histogram.most.tolist() == [max(map(m.count, m)) for m in members]
    assert histogram.majority.tolist() == [min(set(m), key=lambda c, m=m: (-m.count(c), c)) for m in members]  # type: ignore[misc]
    right = 0
    for m in members:
        for place, c in enumerate(m):
            others = Counter(m[:place] + m[place + 1 :])
            right += others[c] > max((n for d, n in others.items() if d != c), default=0)
    assert histogram.agreeing == pytest.approx(right / len(entries))
    shares = [np.array(list(Counter(m).values())) / len(m) for m in members]
    assert histogram.entropy == pytest.approx([-(s * np.log2(s)).sum() for s in shares])


def test_permuted_purity_is_that_of_permuted_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, classes = np.array([1, 4, 1, 2, 5, 3, 1]), np.array([7, 6, 4])
    rng = np.random.default_rng(0)
    labels, node = np.repeat(np.arange(3), classes), np.repeat(np.arange(7), counts)
    brute = []
    for _ in range(2000):
        rng.shuffle(labels)
        brute.append(sum(np.bincount(labels[node == n]).max() for n in range(7)) / 17)
    whole = permuted_purity(counts, classes, 2000, 1)
    monkeypatch.setattr("splinegraph.analyses.activation.histograms.DRAWN", 5)  # node by node
    pieces = permuted_purity(counts, classes, 2000, 2)
    for found in (whole, pieces):
        assert found.mean() == pytest.approx(np.mean(brute), abs=0.012)  # 5 standard errors
        assert found.std() == pytest.approx(np.std(brute), rel=0.12)
    assert (permuted_purity(np.ones(6, dtype=np.int64), np.array([3, 3]), 5, 0) == 1).all()


def test_permuted_labels_are_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes of two inputs, two classes of two: if the labels of one node differ, so do those of the other."""
    monkeypatch.setattr("splinegraph.analyses.activation.histograms.DRAWN", 2)  # node by node
    found = permuted_purity(np.array([2, 2]), np.array([2, 2]), 200, 0)
    assert set(found.tolist()) == {0.5, 1.0}


def test_clusters_that_are_far_apart_are_found() -> None:
    rng = np.random.default_rng(0)
    centers = rng.integers(0, 256, (4, 32), dtype=np.uint8)
    rows = np.repeat(centers, 25, axis=0)
    rows[np.arange(100), rng.integers(0, 32, 100)] ^= np.uint8(1)
    chosen = medoids(rows, 256, 1, 4, seed=0)
    found, away = nearest(rows, rows[chosen], 256, 1)
    assert len({tuple(group) for group in found.reshape(4, 25).tolist()}) == 4
    assert all(len(set(group)) == 1 for group in found.reshape(4, 25).tolist())
    assert away.max() <= 2
    distance = (np.unpackbits(rows, axis=1)[:, None] != np.unpackbits(rows[chosen], axis=1)[None]).sum(-1)
    assert (found == distance.argmin(1)).all()
    assert (away == distance.min(1)).all()
