"""What a comparison says in sentences, of ratings and, where there are some, of choices."""

from __future__ import annotations

from humanclap.evaluation.agreement.result import Comparison
from humanclap.evaluation.report import agreement_warnings
from humanclap.evaluation.report import agreement_words as words
from humanclap.evaluation.report import choices_words as choice_words


def summary(comparison: Comparison) -> list[str]:
    """What was found, in sentences: of the ratings first, then of the choices."""
    choices = comparison.choices
    found = words.summary(comparison)
    return found if choices is None else [*found, *choice_words.summary(choices)]


def warnings(comparison: Comparison) -> list[str]:
    """What a reader must know before quoting a figure, in sentences."""
    choices = comparison.choices
    found = agreement_warnings.warnings(comparison)
    return found if choices is None else [*found, *choice_words.warnings(choices)]
