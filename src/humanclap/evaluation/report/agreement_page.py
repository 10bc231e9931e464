"""One self-contained HTML page: opens offline, follows light and dark, prints, sorts, plays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from scipy import stats

from humanclap.evaluation.agreement.result import (
    Comparison,
    Difference,
    Evaluation,
    Group,
    JudgedPair,
)
from humanclap.evaluation.choices.accuracy_result import JudgedChoices
from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import chart
from humanclap.evaluation.markup.players import Card, Players
from humanclap.evaluation.report import agreement_words as words
from humanclap.evaluation.report import choices_words
from humanclap.evaluation.report import pair_plots as plots
from humanclap.evaluation.report.agreement_rows import difference_rows, group_rows, places
from humanclap.evaluation.report.choices_report import choices_picture
from humanclap.evaluation.report.comparability import judgement_signature
from humanclap.evaluation.report.document import page_sections
from humanclap.evaluation.report.marks import group_marks
from humanclap.evaluation.report.overview import overview
from humanclap.evaluation.short_forms import counted, number
from humanclap.provenance import Provenance, provenance_now

PLAYED = 4
"""Cards of each kind and metric: best, worst, most disagreeing."""


def html_report(
    comparison: Comparison,
    *,
    audio_root: str | Path | None = None,
    link_from: str | Path | None = None,
    made: Provenance | None = None,
) -> str:
    """The comparison as one HTML document without outside references.

    Notes stand above everything, then one summary and one picture; all text from the input is
    escaped. audio_root: where the clips are, for players and spectrograms inside the page;
    link_from: the page's folder, to link the clips instead of holding them; made: command, date and
    versions it names, None: those of now (`made.provenance_now`).
    """
    players = Players.below(audio_root, link_from)
    made = made or provenance_now()
    shown = comparison.metrics or comparison.evaluations
    title = words.title(comparison)
    body = html.opening(
        title,
        about=f"{words.about(comparison)} · {made.date}",
        notes=comparison.notes,
        headline=words.headline(comparison),
        picture=_picture(comparison),
        warnings=words.every_warning(comparison),
    )
    body += ["<h2>Findings</h2>", html.bullets("findings", words.summary(comparison))]
    body += _overview(comparison)
    if comparison.differences:
        body.append(_against(comparison, comparison.differences, shown[0].name))
    if comparison.against_trivial:
        name = "the best trivial predictor"
        body.append(_against(comparison, comparison.against_trivial, name))
    if comparison.choices is not None:
        body += _choices(comparison.choices)
    body += [_section(evaluation, comparison, players) for evaluation in shown]
    body += [_method(comparison), html.how_made(made, words.models(comparison))]
    return html.document(title, body, linked_audio=players.linked)


def _picture(comparison: Comparison) -> str:
    """Of one metric alone its pairs, else the SRCC of every metric and trivial predictor."""
    if _alone(comparison):
        return _scatter(comparison.evaluations[0])
    rows = [(evaluation.name, evaluation.overall) for evaluation in comparison.evaluations]
    caption = "SRCC over all pairs with its interval." + _limit_key(comparison)
    return html.figure(_forest(rows, comparison), caption)


def _alone(comparison: Comparison) -> bool:
    return len(comparison.evaluations) == 1 and not comparison.ceilings


def _forest(rows: Sequence[tuple[str, Group]], comparison: Comparison) -> str:
    """SRCC of each labelled group with its interval and the ceiling of its place."""
    return chart(group_marks(rows, comparison), zero=True)


def _choices(judged: JudgedChoices) -> list[str]:
    first, *further = choices_words.sections(judged)
    return [
        *page_sections([replace(first, after=choices_picture(judged)), *further]),
        "<h3>How choices were judged</h3>" + html.bullets("facts", choices_words.facts(judged)),
    ]


def _overview(comparison: Comparison) -> list[str]:
    reasons = words.ceiling_reasons(comparison)
    if comparison.metrics:  # trivial predictors have no table of their own
        reasons += [f"{item.name}: {why}" for item in comparison.trivial for why in item.reasons()]
    return page_sections([replace(overview(comparison), after=_undefined(reasons))])


def _undefined(reasons: Sequence[str]) -> str:
    """Below a table, why some of its figures are missing."""
    return html.bullets("facts", reasons) if reasons else ""


def _limit_key(comparison: Comparison) -> str:
    return (
        ' <span class="named"><span class="key ceiling"></span>noise ceiling</span>'
        if comparison.ceilings
        else ""
    )


def _against(comparison: Comparison, differences: Sequence[Difference], baseline: str) -> str:
    parts = [
        f"<h2>Against {html.broken(baseline)}</h2>"
        "<p>Differences on the same pairs; of correlations a positive difference is better, of "
        "errors a negative one. p is of the permutation test of SRCC over all pairs.</p>"
    ]
    for difference in differences:
        heads, rows = difference_rows(comparison, [difference])
        kinds = ["overall" if group.level == "overall" else "" for group in places(difference)]
        parts += [
            f"<h3>{html.broken(rows[0][0])}</h3>",
            html.table(heads[1:], [row[1:] for row in rows], kinds=kinds),
            _undefined(difference.reasons()),
        ]
    return "".join(parts)


def _section(evaluation: Evaluation, comparison: Comparison, players: Players) -> str:
    rows = [(group.label, group) for group in places(evaluation)]
    kinds = ["overall" if group.level == "overall" else "" for _, group in rows]
    table = html.table(*group_rows(evaluation), kinds=kinds)
    parts = [f"<h2>{html.broken(evaluation.name)}</h2>", table, _undefined(evaluation.reasons())]
    if len(rows) > 1:
        caption = "SRCC of each group with its interval." + _limit_key(comparison)
        parts.append(html.figure(_forest(rows, comparison), caption))
    squares = _ranks(evaluation) + _reliability(evaluation)
    if not _alone(comparison):
        parts.append(_scatter(evaluation))
    parts.append(f'<div class="two">{squares}</div>')
    parts.append(_listen(evaluation, players))
    facts = [
        *words.metric_lines(evaluation),
        f"Pairwise accuracy calls scores tied that differ by at most "
        f"{number(evaluation.tie_threshold)} (chosen on these pairs)",
    ]
    return "".join([*parts, html.bullets("facts", facts)])


def _scatter(evaluation: Evaluation) -> str:
    keys = "".join(
        f'<span class="named"><span class="key {kind}"></span>{name} ({count:,})</span> '
        for kind, name, count in plots.legend(evaluation)
    )
    shown = min(len(evaluation.per_pair), plots.MAX_POINTS)
    fewer = f" {shown:,} drawn at random." if shown < len(evaluation.per_pair) else ""
    caption = f"One mark a pair: what the metric says against what people say.{fewer}{keys}"
    return html.figure(plots.scatter(evaluation), caption)


def _ranks(evaluation: Evaluation) -> str:
    caption = "The same pairs by rank, as SRCC sees them; on the line both agree."
    return html.figure(plots.rank_plot(evaluation), caption)


def _reliability(evaluation: Evaluation) -> str:
    plot = plots.reliability_plot(evaluation)
    if not plot:
        return ""
    caption = (
        f"Reliability after the scale map '{escape(evaluation.scale_map)}': mean human rating of "
        "pairs of like prediction, with its 95 % interval; on the line predictions mean what they "
        "say."
    )
    return html.figure(plot, caption)


def _listen(evaluation: Evaluation, players: Players) -> str:
    if players.root is None:
        return ""
    pairs = evaluation.per_pair
    of_score = stats.rankdata([pair.score for pair in pairs])
    of_human = stats.rankdata([pair.human for pair in pairs])
    by_score = sorted(range(len(pairs)), key=lambda i: of_score[i])
    apart = sorted(range(len(pairs)), key=lambda i: -abs(of_score[i] - of_human[i]))
    kinds = (
        ("Highest scores", by_score[::-1]),
        ("Lowest scores", by_score),
        ("Where metric and people disagree most", apart),
    )
    return "".join(
        f"<h3>{title}</h3>" + players.cards([_card(pairs[i]) for i in order[:PLAYED]])
        for title, order in kinds
    )


def _card(pair: JudgedPair) -> Card:
    said = f"score {pair.score:.3f} · people {pair.human:.2f} ({counted(pair.n, 'rating')})"
    predicted = "" if math.isnan(pair.predicted) else f"predicted rating {pair.predicted:.2f}"
    lines = [said, predicted, pair.system or ""]
    return Card(pair.audio, pair.text, tuple(line for line in lines if line))


def _method(comparison: Comparison) -> str:
    facts = [
        f"{words.bootstrap_line(comparison)}.",
        "SRCC: Spearman; LCC: Pearson; KTAU: Kendall's tau-b, each with the mean human rating "
        "(MOS). Pairwise: share of pairs of items in people's order, ties counted (Deutsch et al. "
        "2023). n: pairs; systems for 'between systems'. – : undefined; why is said below the "
        "table.",
    ]
    if comparison.tests:
        facts.append(f"{words.tests_line(comparison)}.")
    if comparison.ceilings:
        facts.append(
            "Noise ceiling: SRCC a predictor of the true means would reach on average, from an "
            "ordinal model fitted to the frequencies and the ICC of each group's ratings."
        )
    facts.append(f"Judged as: {judgement_signature(comparison)}")
    return "<h2>How this was computed</h2>" + html.bullets("facts", facts)
