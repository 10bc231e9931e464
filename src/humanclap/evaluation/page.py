"""One self-contained HTML page: opens offline, follows light and dark, prints, sorts, plays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from scipy import stats

from humanclap.evaluation import diagrams, html, plots, words
from humanclap.evaluation.identity import judgement_signature
from humanclap.evaluation.overview import overview
from humanclap.evaluation.players import Card, Players
from humanclap.evaluation.result import (
    HEADINGS,
    STATISTICS,
    Comparison,
    Difference,
    Evaluation,
    Group,
    JudgedPair,
)

PLAYED = 4
"""Cards of each kind and metric: best, worst, most disagreeing."""


def html_report(
    comparison: Comparison,
    *,
    audio_root: str | Path | None = None,
    link_from: str | Path | None = None,
) -> str:
    """The comparison as one HTML document without outside references.

    Notes stand above everything; all text from the input is escaped. audio_root: where the clips
    are, for players and spectrograms inside the page; link_from: the page's folder, to link the
    clips instead of holding them.
    """
    players = Players(
        None if audio_root is None else Path(audio_root),
        None if link_from is None else Path(link_from),
    )
    shown = comparison.metrics or comparison.evaluations
    title = f"Agreement with people: {', '.join(item.name for item in comparison.metrics)}"
    if not comparison.metrics:
        title = "Ceiling and floor of these ratings"
    body = [f"<h1>{escape(title)}</h1>", *map(html.banner, comparison.notes)]
    body += [html.banner(warning) for warning in words.warnings(comparison)]
    body += [html.bullets("summary", words.summary(comparison)), _overview(comparison)]
    if comparison.differences:
        body.append(_against(comparison, comparison.differences, shown[0].name))
    if comparison.against_trivial:
        name = "the best trivial predictor"
        body.append(_against(comparison, comparison.against_trivial, name))
    body += [_section(evaluation, comparison, players) for evaluation in shown]
    body.append(_method(comparison))
    return html.document(title, body, linked_audio=players.linked)


def _overview(comparison: Comparison) -> str:
    found = overview(comparison)
    rows = [(evaluation.name, evaluation.overall) for evaluation in comparison.evaluations]
    dots = plots.forest(rows, _limits(comparison))
    caption = "SRCC over all pairs with its interval." + _limit_key(comparison)
    return (
        "<h2>Ceiling, metrics, floor</h2>"
        + html.table(
            found.columns,
            [row.cells for row in found.rows],
            kinds=[row.kind for row in found.rows],
        )
        + html.figure(dots, caption)
    )


def _limits(comparison: Comparison) -> Mapping[str, float]:
    return {label: ceiling.srcc.value for label, ceiling in comparison.ceilings.items()}


def _limit_key(comparison: Comparison) -> str:
    return ' <span class="key ceiling"></span>noise ceiling' if comparison.ceilings else ""


def _against(comparison: Comparison, differences: Sequence[Difference], baseline: str) -> str:
    rows = [
        (f"{difference.name} − {difference.baseline}, {group.label}", group)
        for difference in differences
        for group in (*difference.groups, *difference.levels)
    ]
    tests = [comparison.test(d.name, d.baseline) for d in differences]
    told = [
        f"{test.name} against {test.baseline}: permutation test of SRCC, {words.p_value(test)}"
        for test in tests
        if test is not None
    ]
    return (
        f"<h2>Against {escape(baseline)}</h2>"
        "<p>Differences on the same pairs, from the same bootstrap draws; of correlations a "
        "positive difference is better, of errors a negative one.</p>"
        + _table(rows, signed=True)
        + html.bullets("facts", told)
    )


def _section(evaluation: Evaluation, comparison: Comparison, players: Players) -> str:
    groups = (*evaluation.groups, *evaluation.levels, *evaluation.without)
    rows = [(group.label, group) for group in groups]
    parts = [f"<h2>{escape(evaluation.name)}</h2>", _table(rows)]
    if len(rows) > 1:
        caption = "SRCC of each group with its interval." + _limit_key(comparison)
        parts.append(html.figure(plots.forest(rows, _limits(comparison)), caption))
    squares = _ranks(evaluation) + _reliability(evaluation)
    parts += [_scatter(evaluation), f'<div class="two">{squares}</div>']
    parts.append(_listen(evaluation, players))
    facts = [
        words.scale_map_line(evaluation),
        words.calibration_line(evaluation),
        words.intervals_line(evaluation),
        words.met_line(evaluation),
        f"Pairwise accuracy calls scores tied that differ by at most "
        f"{words.number(evaluation.tie_threshold)} (chosen on these pairs)",
        f"Signature: {words.signature_line(evaluation)}",
        f"Rows: {words.rows_line(evaluation)}",
    ]
    return "".join([*parts, html.bullets("facts", [fact for fact in facts if fact])])


def _scatter(evaluation: Evaluation) -> str:
    keys = "".join(
        f'<span class="key {kind}"></span>{name} ({count:,})'
        for kind, name, count in plots.legend(evaluation)
    )
    shown = min(len(evaluation.per_pair), plots.MAX_POINTS)
    fewer = f" {shown:,} drawn at random." if shown < len(evaluation.per_pair) else ""
    caption = f"One mark a pair: what the metric says against what people say.{fewer}{keys}"
    return html.figure(plots.scatter(evaluation), caption)


def _ranks(evaluation: Evaluation) -> str:
    caption = "The same pairs by rank, as SRCC sees them; on the line both agree."
    return html.figure(diagrams.rank_plot(evaluation), caption)


def _reliability(evaluation: Evaluation) -> str:
    plot = diagrams.reliability_plot(evaluation)
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
    said = f"score {pair.score:.3f} · people {pair.human:.2f} ({words.counted(pair.n, 'rating')})"
    predicted = "" if math.isnan(pair.predicted) else f"predicted rating {pair.predicted:.2f}"
    lines = [said, predicted, pair.system or ""]
    return Card(pair.audio, pair.text, tuple(line for line in lines if line))


def _table(rows: Sequence[tuple[str, Group]], *, signed: bool = False) -> str:
    sign = "Δ " if signed else ""
    heads = ["", "n", "captions", *(sign + HEADINGS[name] for name in STATISTICS)]
    lines = []
    for label, group in rows:
        cells = [f'<td class="name">{escape(label)}</td>']
        cells.append(f"<td>{group.n:,}</td><td>{group.captions:,}</td>")
        cells += [_statistic(group, name, signed) for name in STATISTICS]
        overall = ' class="overall"' if group.level == "overall" else ""
        lines.append(f"<tr{overall}>" + "".join(cells) + "</tr>")
    return html.raw_table("".join(f"<th>{head}</th>" for head in heads), lines)


def _statistic(group: Group, name: str, signed: bool) -> str:
    if name not in group.statistics:
        return "<td></td>"
    statistic = group.statistics[name]
    plus = "+" if signed and statistic.value > 0 else ""
    why = f' title="{escape(statistic.reason)}"' if statistic.reason else ""
    spread = words.interval(statistic)
    small = f"<small>{spread}</small>" if spread else ""
    return f"<td{why}>{plus}{words.number(statistic.value)}{small}</td>"


def _method(comparison: Comparison) -> str:
    facts = [
        f"{words.bootstrap_line(comparison)}.",
        "SRCC: Spearman; LCC: Pearson; KTAU: Kendall's tau-b, each with the mean human rating "
        "(MOS). Pairwise: share of pairs of items in people's order, ties counted (Deutsch et al. "
        "2023). n: pairs; systems for 'between systems'. – : undefined, with its reason below.",
    ]
    if comparison.tests:
        facts.append(f"{words.tests_line(comparison)}.")
    if comparison.ceilings:
        facts.append(
            "Noise ceiling: SRCC a predictor of the true means would reach on average, from an "
            "ordinal model fitted to the frequencies and the ICC of each group's ratings."
        )
    facts.append(f"Judged as: {judgement_signature(comparison)}")
    facts += words.reasons(comparison)
    return "<h2>How this was computed</h2>" + html.bullets("facts", facts)
