"""Every law on every sample."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from splinegraph.testing import LAWS, Sample
from tests.operators.samples import SAMPLES

CASES = [
    pytest.param(law, sample, id=f"{sample.label}-{law.__name__.removeprefix('law_')}")
    for sample in SAMPLES
    for law in LAWS
    if law.__name__ not in sample.skips
]


@pytest.mark.parametrize(("law", "sample"), CASES)
def test_law(law: Callable[[Sample], None], sample: Sample) -> None:
    law(sample)


def test_skips_name_laws_and_give_reasons() -> None:
    names = {law.__name__ for law in LAWS}
    for sample in SAMPLES:
        assert set(sample.skips) <= names, sample.label
        assert all(sample.skips.values()), sample.label


def test_labels_are_distinct() -> None:
    labels = [sample.label for sample in SAMPLES]
    assert len(set(labels)) == len(labels), sorted(label for label in labels if labels.count(label) > 1)
