"""A judgement, or a ranking, by people's choices alone as a document; its pictures and its JSON."""

from __future__ import annotations

from humanclap.evaluation.choices.accuracy_result import BEST, JudgedChoices
from humanclap.evaluation.choices.ranking_result import PeopleRanking
from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import chart
from humanclap.evaluation.report import choices_words, ranking_words
from humanclap.evaluation.report.comparability import choices_signature, ranking_signature
from humanclap.evaluation.report.document import Document
from humanclap.evaluation.report.marks import choice_marks, ranking_marks
from humanclap.json_values import to_json
from humanclap.provenance import Provenance, provenance_now


def choices_document(judged: JudgedChoices, *, made: Provenance | None = None) -> Document:
    """Metrics judged by choices; made: command, date and versions, None: those of now."""
    return Document(
        title=choices_words.title(judged),
        about=choices_words.about(judged),
        notes=judged.notes,
        headline=choices_words.headline(judged),
        picture=choices_picture(judged),
        warnings=choices_words.warnings(judged),
        findings=choices_words.summary(judged),
        sections=choices_words.sections(judged),
        facts=choices_words.facts(judged),
        made=made or provenance_now(),
        models=choices_words.models(judged),
    )


def json_choices(judged: JudgedChoices, *, made: Provenance | None = None) -> str:
    """The judgement as JSON; an undefined number is null, with its `reason` beside it."""
    found = {
        "made": (made or provenance_now()).to_dict(),
        "notes": list(judged.notes),
        "warnings": choices_words.warnings(judged),
        "choices": {"signature": choices_signature(judged), **judged.to_dict()},
    }
    return to_json(found) + "\n"


def choices_picture(judged: JudgedChoices) -> str:
    """Accuracy of each metric and floor with its interval, below the ceiling, as markup."""
    caption = "Accuracy over the decided questions with its interval; a coin reaches 0.5."
    caption += f' <span class="named"><span class="key ceiling"></span>{BEST}</span>'
    return html.figure(chart(choice_marks(judged), limit_name=BEST), caption)


def ranking_document(ranking: PeopleRanking, *, made: Provenance | None = None) -> Document:
    """Systems ranked by choices; made: as `choices_document`."""
    findings = ranking_words.summary(ranking)
    return Document(
        title=ranking_words.title(ranking),
        about=ranking_words.about(ranking),
        notes=ranking.notes,
        headline=findings[:1],
        picture=ranking_picture(ranking),
        warnings=ranking_words.warnings(ranking),
        findings=[*findings, *ranking_words.caveats(ranking)],
        sections=ranking_words.sections(ranking),
        facts=[
            *ranking_words.method_lines(ranking),
            f"Ranked as: {ranking_signature(ranking)}",
        ],
        made=made or provenance_now(),
    )


def json_ranking(ranking: PeopleRanking, *, made: Provenance | None = None) -> str:
    """The ranking as JSON."""
    found = {
        "made": (made or provenance_now()).to_dict(),
        "notes": list(ranking.notes),
        "warnings": ranking_words.warnings(ranking),
        "people": ranking.to_dict(),
    }
    return to_json(found) + "\n"


def ranking_picture(ranking: PeopleRanking) -> str:
    """Log strength of each system with its interval, as markup."""
    caption = "Log strength by people's choices with its interval; the mean over systems is 0."
    return html.figure(chart(ranking_marks(ranking), zero=True), caption)
