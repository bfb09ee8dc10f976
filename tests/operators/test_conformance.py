"""Every law on every sample."""

from __future__ import annotations

import pytest

from splinegraph.testing import LAWS, Sample
from tests.operators.samples import SAMPLES


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.label)
def test_laws(sample: Sample) -> None:
    """All laws in one test: one test each would cost more than most laws do."""
    failed = []
    for law in LAWS:
        if law.__name__ not in sample.skips:
            try:
                law(sample)
            except AssertionError as error:
                error.add_note(law.__name__)
                failed.append(error)
    if failed:
        raise ExceptionGroup(f"{sample.label} breaks laws", failed)


def test_skips_name_laws_and_give_reasons() -> None:
    names = {law.__name__ for law in LAWS}
    for sample in SAMPLES:
        assert set(sample.skips) <= names, sample.label
        assert all(sample.skips.values()), sample.label


def test_labels_are_distinct() -> None:
    labels = [sample.label for sample in SAMPLES]
    assert len(set(labels)) == len(labels), sorted(label for label in labels if labels.count(label) > 1)
