"""A judgement by choices as markup: a page of its own, or sections of another."""

from __future__ import annotations

from humanclap.evaluation.choices.accuracy_result import BEST, JudgedChoices
from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import Bar, chart
from humanclap.evaluation.report import choices_words as words
from humanclap.made import Made, made_now


def html_choices(judged: JudgedChoices, *, made: Made | None = None) -> str:
    """The judgement as one HTML document without outside references."""
    made = made or made_now()
    title = words.title(judged)
    body = html.opening(
        title,
        about=f"{words.about(judged)} · {made.date}",
        notes=judged.notes,
        headline=words.headline(judged),
        picture=picture(judged),
        warnings=words.warnings(judged),
    )
    body += ["<h2>Findings</h2>", html.bullets("findings", words.summary(judged))]
    body += [*html_sections(judged), html.how_made(made, words.models(judged))]
    return html.document(title, body)


def html_sections(judged: JudgedChoices, *, drawn: bool = False) -> list[str]:
    """Tables and how they were made, as markup; drawn: with the picture behind the first."""
    table = words.choice_table(judged)
    (first, _), *further = words.sections(judged)
    body = [f"<h2>{first}</h2>", html.table(table.heads, table.rows, kinds=table.kinds)]
    body += [picture(judged)] if drawn else []
    for title, (heads, rows) in further:
        body += [f"<h2>{title}</h2>", html.table(heads, rows)]
    return [*body, "<h3>How choices were judged</h3>", html.bullets("facts", words.facts(judged))]


def picture(judged: JudgedChoices) -> str:
    """Accuracy of each metric and floor with its interval, below the ceiling."""
    found = judged.overall.accuracy
    bars = [
        Bar(
            label=name,
            value=found[name].value,
            low=found[name].low,
            high=found[name].high,
            limit=found[BEST].value,
        )
        for name in (*(item.name for item in judged.metrics), *judged.floors)
    ]
    caption = "Accuracy over the decided questions with its interval; a coin reaches 0.5."
    caption += f' <span class="named"><span class="key ceiling"></span>{BEST}</span>'
    return html.figure(chart(bars, limit_name=BEST), caption)
