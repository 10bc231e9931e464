import pytest

from humanclap.errors import InputError
from humanclap.provenance import provenance_now


def test_the_date_is_that_of_source_date_epoch(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")  # date -u -d @1767225600
    found = provenance_now("humanclap score")
    assert found.date == "2026-01-01 00:00 UTC"
    assert found == provenance_now("humanclap score")


def test_a_source_date_epoch_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH is 'today'; expected seconds"):
        provenance_now()


def test_without_it_the_date_is_now_and_the_versions_are_those_in_use(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    import numpy

    found = provenance_now()
    assert found.date.endswith(" UTC")
    assert f"numpy {numpy.__version__}" in found.software
    assert found.to_dict()["command"] is None
