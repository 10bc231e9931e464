"""One self-contained HTML page: opens offline, follows light and dark, prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from humanclap.evaluation import plots, words
from humanclap.evaluation.result import HEADINGS, STATISTICS, Comparison, Evaluation, Group

_STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1c2128; --faint: #59636e;
  --line: #d5dae0; --raised: #f5f7f9; --natural: #0969a8; --synthetic: #c2510c;
  --anchor: #6f42c1; --warn: #fff3cd; --warn-text: #5c4300; --warn-line: #d9a400; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --text: #e4e8ed; --faint: #9aa4af;
  --line: #343c46; --raised: #1d232a; --natural: #5cb3ee; --synthetic: #f59a55;
  --anchor: #b79cf2; --warn: #3a2f0b; --warn-text: #ffe08a; --warn-line: #d9a400; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--page);
  color: var(--text); font: 16px/1.55 system-ui, "Segoe UI", "Helvetica Neue", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 1rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h1, h2, p, li, td:first-child { overflow-wrap: anywhere; }
.banner { background: var(--warn); color: var(--warn-text); border: 1px solid var(--warn-line);
  border-left-width: 6px; border-radius: 6px; padding: .7rem 1rem; margin: 0 0 1rem;
  font-weight: 600; }
.summary { font-size: 1.05rem; padding-left: 1.2rem; } .summary li { margin: .3rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { color: var(--faint); font-weight: 600; font-size: .85rem; } th:first-child,
td:first-child { text-align: left; min-width: 9rem; white-space: normal;
  } tr.overall td { font-weight: 600; }
td small { display: block; color: var(--faint); font-weight: 400; font-size: .78rem; }
figure { margin: 1.25rem 0; background: var(--raised); border: 1px solid var(--line);
  border-radius: 8px; padding: 1rem; overflow-x: auto; } figcaption { color: var(--faint);
  font-size: .9rem; }
svg { display: block; width: 100%; min-width: 30rem; max-width: 48rem; height: auto;
  margin: 0 auto; }
svg text { fill: var(--text); font-size: 13px; } svg text.tick { fill: var(--faint);
  font-size: 12px; } svg text.label { fill: var(--faint); }
.grid { stroke: var(--line); stroke-width: 1; } .zero { stroke: var(--faint); stroke-width: 1; }
.span { stroke: var(--natural); stroke-width: 2.5; } .dot { fill: var(--natural); }
.mark { fill-opacity: .55; } .natural { fill: var(--natural); background: var(--natural); }
.synthetic { fill: var(--synthetic); background: var(--synthetic); }
.anchor { fill: var(--anchor); background: var(--anchor); }
.other { fill: var(--natural); background: var(--natural); }
.key { display: inline-block; width: .7rem; height: .7rem; margin: 0 .35rem 0 .9rem; }
.key.natural, .key.other { border-radius: 50%; }
.key.anchor { clip-path: polygon(50% 0, 100% 100%, 0 100%); }
.facts { color: var(--faint); font-size: .9rem; padding-left: 1.2rem; }
code { font: .88em ui-monospace, "Cascadia Mono", Menlo, monospace; overflow-wrap: anywhere; }
@media print { body { max-width: none; padding: 0; } figure { break-inside: avoid; } }
"""


def html_report(comparison: Comparison) -> str:
    """The comparison as one HTML document without outside references.

    Notes stand above everything; all text from the input is escaped.
    """
    names = " and ".join(evaluation.name for evaluation in comparison.evaluations)
    body = [f"<h1>Agreement with people: {escape(names)}</h1>"]
    body += [f'<p class="banner" role="note">{escape(note)}</p>' for note in comparison.notes]
    body.append(_list("summary", map(escape, words.summary(comparison))))
    if comparison.differences:
        body.append(_against(comparison))
    body += [_section(evaluation) for evaluation in comparison.evaluations]
    body.append(_method(comparison))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Agreement with people: {escape(names)}</title>\n<style>{_STYLE}</style>\n"
        "</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def _list(kind: str, items: Iterable[str]) -> str:
    return f'<ul class="{kind}">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _against(comparison: Comparison) -> str:
    evaluations = comparison.evaluations
    dots = plots.forest([(evaluation.name, evaluation.overall) for evaluation in evaluations])
    rows = [
        (f"{difference.name}, {group.label}", group)
        for difference in comparison.differences
        for group in difference.groups
    ]
    return (
        f"<h2>Against {escape(evaluations[0].name)}</h2>"
        f"<figure>{dots}<figcaption>SRCC of each metric with its interval.</figcaption></figure>"
        "<p>Differences on the same pairs, from the same bootstrap draws; of correlations a "
        "positive difference is better, of errors a negative one.</p>" + _table(rows, signed=True)
    )


def _section(evaluation: Evaluation) -> str:
    groups = (*evaluation.groups, *evaluation.levels, *evaluation.without)
    rows = [(group.label, group) for group in groups]
    parts = [f"<h2>{escape(evaluation.name)}</h2>", _table(rows)]
    if len(rows) > 1:
        parts.append(
            f"<figure>{plots.forest(rows)}"
            "<figcaption>SRCC of each group with its interval.</figcaption></figure>"
        )
    keys = "".join(
        f'<span class="key {kind}"></span>{name} ({count:,})'
        for kind, name, count in plots.legend(evaluation)
    )
    shown = min(len(evaluation.per_pair), plots.MAX_POINTS)
    thinned = f" {shown:,} drawn at random." if shown < len(evaluation.per_pair) else ""
    parts.append(
        f"<figure>{plots.scatter(evaluation)}<figcaption>One mark a pair: what the metric says "
        f"against what people say.{thinned}{keys}</figcaption></figure>"
    )
    facts = [
        escape(words.scale_map_line(evaluation)),
        f"Signature: <code>{escape(words.signature_line(evaluation))}</code>",
        f"Rows: {escape(words.rows_line(evaluation))}",
    ]
    return "".join([*parts, _list("facts", facts)])


def _table(rows: Sequence[tuple[str, Group]], *, signed: bool = False) -> str:
    mark = "Δ " if signed else ""
    heads = ["", "n", "captions", *(mark + HEADINGS[name] for name in STATISTICS)]
    lines = ["<tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"]
    for label, group in rows:
        cells = [f"<td>{escape(label)}</td><td>{group.n:,}</td><td>{group.captions:,}</td>"]
        for name in STATISTICS:
            if name not in group.statistics:
                cells.append("<td></td>")
                continue
            statistic = group.statistics[name]
            plus = "+" if signed and statistic.value > 0 else ""
            value = f"{plus}{words.number(statistic.value)}"
            why = f' title="{escape(statistic.reason)}"' if statistic.reason else ""
            spread = words.interval(statistic)
            small = f"<small>{spread}</small>" if spread else ""
            cells.append(f"<td{why}>{value}{small}</td>")
        overall = ' class="overall"' if group.level == "overall" else ""
        lines.append(f"<tr{overall}>" + "".join(cells) + "</tr>")
    return '<div class="wide"><table>' + "".join(lines) + "</table></div>"


def _method(comparison: Comparison) -> str:
    facts = [f"{words.bootstrap_line(comparison)}.", *words.reasons(comparison)]
    facts.insert(
        1,
        "SRCC: Spearman; LCC: Pearson; KTAU: Kendall's tau-b, each with the mean human rating "
        "(MOS). n: pairs. – : undefined, with its reason below.",
    )
    return "<h2>How this was computed</h2>" + _list("facts", map(escape, facts))
