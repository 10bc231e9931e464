"""Reports call a metric by its model, not by the file its scores happened to lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from humanclap.errors import InputError
from humanclap.evaluation.result import Comparison, Difference, Evaluation
from humanclap.signature import Signature


def model_of(signature: str | None) -> str:
    """`mini@d2b10d51`, model and fingerprint; empty where a table has no signature of ours."""
    found = _parsed(signature)
    return "" if found is None else f"{found.model}@{found.fingerprint}"


def _parsed(signature: str | None) -> Signature | None:
    try:
        return None if signature is None else Signature.parse(signature)
    except InputError:
        return None


def by_model(comparison: Comparison) -> Comparison:
    """The same comparison, each metric under the name of its model; its own name is its `table`.

    A name is the model's where no other metric has it, else with the fingerprint, else with the
    metric's own name; a metric without a signature of ours keeps its own.
    """
    names = _names(comparison.metrics)
    taken = Counter([*names.values(), *(item.name for item in comparison.trivial)])
    if max(taken.values(), default=1) > 1:
        return comparison

    def named(name: str) -> str:
        return names.get(name, name)

    def differences(several: Iterable[Difference]) -> tuple[Difference, ...]:
        return tuple(
            replace(item, name=named(item.name), baseline=named(item.baseline)) for item in several
        )

    return replace(
        comparison,
        evaluations=tuple(
            item
            if names.get(item.name, item.name) == item.name
            else replace(item, name=names[item.name], table=item.name)
            for item in comparison.evaluations
        ),
        differences=differences(comparison.differences),
        against_trivial=differences(comparison.against_trivial),
        tests=tuple(
            replace(test, name=named(test.name), baseline=named(test.baseline))
            for test in comparison.tests
        ),
    )


def _names(metrics: Sequence[Evaluation]) -> dict[str, str]:
    """Own name -> name in a report."""
    found = {item.name: _parsed(item.coverage.signature) for item in metrics}
    models = Counter(one.model for one in found.values() if one)
    prints = Counter((one.model, one.fingerprint) for one in found.values() if one)
    names = {}
    for name, one in found.items():
        if one is None:
            names[name] = name
        elif models[one.model] == 1:
            names[name] = one.model
        elif prints[one.model, one.fingerprint] == 1:
            names[name] = f"{one.model}@{one.fingerprint}"
        else:
            names[name] = f"{one.model} ({name})"
    return names
