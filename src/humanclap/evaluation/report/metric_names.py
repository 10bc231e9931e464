"""Reports call a metric by its model, not by the file its scores happened to lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from humanclap.errors import InputError
from humanclap.evaluation.agreement.result import Comparison, Difference
from humanclap.signature import Signature

if TYPE_CHECKING:
    from humanclap.evaluation.choices.accuracy_result import JudgedChoices


def model_of(signature: str | None) -> str:
    """`mini@d2b10d51`, model and fingerprint; empty where a table has no signature of ours."""
    found = _parsed(signature)
    return "" if found is None else f"{found.model}@{found.fingerprint}"


def model_line(name: str, signature: str | None, table: str) -> str:
    """Name, model and table of a metric, as reports list it.

    >>> model_line("clap", None, "old.csv")
    'clap: not known, its scores carry no signature (scores: old.csv)'
    """
    model = model_of(signature) or "not known, its scores carry no signature"
    scores = f" (scores: {table})" if table else ""
    return model + scores if name in model else f"{name}: {model}{scores}"


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
    names = _names({item.name: item.coverage.signature for item in comparison.metrics})
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
        choices=None if comparison.choices is None else comparison.choices.renamed(names),
    )


def choices_by_model(judged: JudgedChoices) -> JudgedChoices:
    """As `by_model`, of metrics judged by choices."""
    names = _names({item.name: item.coverage.signature for item in judged.metrics})
    rows = [*names.values(), *judged.overall.accuracy.keys() - names.keys()]
    return judged if max(Counter(rows).values(), default=1) > 1 else judged.renamed(names)


def _names(signatures: Mapping[str, str | None]) -> dict[str, str]:
    """Own name -> name in a report."""
    found = {name: _parsed(signature) for name, signature in signatures.items()}
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
