"""A ranking by people's choices alone: Markdown and a page; and its picture for any page."""

from __future__ import annotations

from humanclap.evaluation.choices.ranking_result import PeopleRanking
from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import Bar, chart
from humanclap.evaluation.report import ranking_words as words
from humanclap.evaluation.report.comparability import ranking_signature
from humanclap.made import Made, made_now
from humanclap.typeset import markdown_cell, markdown_table


def picture(ranking: PeopleRanking) -> str:
    """Log strength of each system with its interval, as markup."""
    bars = [
        Bar(label=s.system, value=s.strength.value, low=s.strength.low, high=s.strength.high)
        for s in ranking.systems
    ]
    caption = "Log strength by people's choices with its interval; the mean over systems is 0."
    return html.figure(chart(bars, zero=True), caption)


def html_ranking(ranking: PeopleRanking, *, made: Made | None = None) -> str:
    """The ranking as one HTML document without outside references."""
    made = made or made_now()
    first, *further = words.summary(ranking)
    body = html.opening(
        words.title(ranking),
        about=f"{words.about(ranking)} · {made.date}",
        notes=ranking.notes,
        headline=[first],
        picture=picture(ranking),
        warnings=words.warnings(ranking),
    )
    body.append(html.bullets("findings", [*further, *words.caveats(ranking)]))
    for name, (heads, rows) in words.sections(ranking):
        body.append(f"<h2>{name}</h2>{html.table(heads, rows)}")
    body.append("<h2>How this was computed</h2>" + html.bullets("facts", facts(ranking)))
    return html.document(words.title(ranking), [*body, html.how_made(made, [])])


def markdown_ranking(ranking: PeopleRanking, *, made: Made | None = None) -> str:
    """The whole ranking; text of the input is escaped."""
    made = made or made_now()
    lines = [f"# {words.title(ranking)}", ""]
    lines += [f"> **{markdown_cell(note)}**  " for note in ranking.notes]
    lines += [f"> **Warning:** {markdown_cell(one)}  " for one in words.warnings(ranking)]
    told = [*words.summary(ranking), *words.caveats(ranking)]
    lines += ["", *(f"- {markdown_cell(sentence)}" for sentence in told), ""]
    for name, (heads, rows) in words.sections(ranking):
        lines += [f"## {name}", "", *markdown_table(heads, rows)]
    command = [f"Command: {made.command}"] if made.command else []
    made_how = [*command, f"Date: {made.date}", f"Versions: {made.software}"]
    return "\n".join([*lines, *(f"- {markdown_cell(f)}" for f in facts(ranking) + made_how), ""])


def facts(ranking: PeopleRanking) -> list[str]:
    """How the numbers were made, and the signature."""
    return [*words.method_lines(ranking), f"Ranked as: {ranking_signature(ranking)}"]
