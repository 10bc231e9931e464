"""The report of a reproduction: HTML, Markdown, JSON and the paper's table in LaTeX."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from humanclap.evaluation import html
from humanclap.evaluation.charts import Bar, chart
from humanclap.formats import atomic_writer
from humanclap.made import Made
from humanclap.reproduce import words
from humanclap.reproduce.findings import Findings
from humanclap.reproduce.ledger import StageTime

TITLE = "Human-CLAP, reproduced"
OWN_TITLE = "Human-CLAP on your ratings"
NAMES = ("report.html", "report.md", "report.json", "table.tex")


def write_report(
    found: Findings, stages: Sequence[StageTime], made: Made, output: Path
) -> list[Path]:
    """Write the four files into `output`, each whole or not at all."""
    texts = (
        html_report(found, stages, made),
        markdown(found, stages, made),
        as_json(found, stages, made),
        latex(found),
    )
    paths = [output / name for name in NAMES]
    for path, text in zip(paths, texts, strict=True):
        with atomic_writer(path) as file:
            file.write(text)
    return paths


def title(found: Findings) -> str:
    """Of the report."""
    return OWN_TITLE if found.request.own else TITLE


def html_report(found: Findings, stages: Sequence[StageTime], made: Made) -> str:
    """One page without outside references; text is escaped."""
    body = html.opening(
        title(found),
        about=f"{found.request.base} · {words.counted_pairs(found)} · {made.date}",
        notes=words.notes(found),
        headline=words.headline(found),
        picture=_picture(found),
        warnings=[],
    )
    for question, told in words.answers(found):
        body += [f"<h2>{html.broken(question)}</h2>", html.bullets("findings", told)]
    heads, rows = words.table(found)
    body += ["<h2>Every model</h2>", html.table(heads, rows)]
    body += ["<h2>How this was computed</h2>", html.bullets("facts", words.method(found))]
    body += ["<h2>Time and memory</h2>", html.table(*_stages(stages))]
    body.append(html.how_made(made, [found.request.base]))
    return html.document(title(found), body)


def _picture(found: Findings) -> str:
    ceiling = found.ceilings.get("all judged")
    limit = math.nan if ceiling is None else ceiling.srcc.value
    bars = [
        Bar(
            label=row.name,
            value=row.srcc["all judged"].value,
            low=row.srcc["all judged"].low,
            high=row.srcc["all judged"].high,
            limit=limit,
        )
        for row in found.rows
    ]
    caption = "SRCC over all judged pairs with its 95 % interval; the mark is the noise ceiling."
    return html.figure(chart(bars, zero=True), caption)


def _stages(stages: Sequence[StageTime]) -> tuple[list[str], list[list[str]]]:
    heads = ["stage", "minutes", "begun", "peak memory"]
    rows = [
        [one.name, f"{one.seconds / 60:.1f}", str(one.attempts), f"{one.peak_mb / 1000:.2f} GB"]
        for one in stages
    ]
    return heads, rows


def markdown(found: Findings, stages: Sequence[StageTime], made: Made) -> str:
    """The same in Markdown."""
    parts = [f"# {title(found)}", *(f"**{note}**" for note in words.notes(found))]
    parts.append("\n".join(words.headline(found)))
    for question, told in words.answers(found):
        parts.append(f"## {question}\n\n" + "\n".join(f"- {line}" for line in told))
    parts.append("## Every model\n\n" + _table(*words.table(found)))
    parts.append("## How this was computed\n\n" + "\n".join(f"- {x}" for x in words.method(found)))
    parts.append("## Time and memory\n\n" + _table(*_stages(stages)))
    command = f", by `{made.command}`" if made.command else ""
    parts.append(f"Made {made.date}{command}, with {made.software}.")
    return "\n\n".join(parts) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )


def as_json(found: Findings, stages: Sequence[StageTime], made: Made) -> str:
    """Every figure, and the answers in words; undefined figures are null."""
    content = asdict(found) | {
        "request": found.request.as_dict(),
        "chosen": str(found.chosen),
        "wins": {name: {"gain": asdict(g), "p_holm": p} for name, (g, p) in found.wins.items()},
        "notes": words.notes(found),
        "headline": words.headline(found),
        "answers": dict(words.answers(found)),
        "stages": [asdict(one) for one in stages],
        "made": made.to_dict(),
    }
    return json.dumps(_plain(content), indent=2, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
}
_COLUMNS = ("all judged", "test alone", "natural", "synthetic", "within systems")


def latex(found: Findings) -> str:
    """SRCC by model, as the paper's table has it, with intervals; needs the package booktabs."""
    views = [view for view in _COLUMNS if view in found.views]
    ceiling = [found.ceilings.get(view) for view in views]
    limits = [
        "--" if one is None or math.isnan(one.srcc.value) else f"{one.srcc.value:.3f}"
        for one in ceiling
    ]
    lines = [
        *(f"% {note}" for note in words.notes(found)),
        r"\begin{table}",
        rf"\caption{{SRCC with people, {found.judged_pairs:,} pairs, "
        rf"95\,\% intervals over captions.{_rehearsed(found)}}}",
        rf"\begin{{tabular}}{{l{'c' * len(views)}}}",
        r"\toprule",
        " & ".join(["Model", *(_escaped(view.capitalize()) for view in views)]) + r" \\",
        r"\midrule",
    ]
    kind = found.rows[0].kind if found.rows else ""
    for row in found.rows:
        if row.kind != kind:
            lines.append(r"\midrule")
            kind = row.kind
        cells = [_escaped(words.figure(row.srcc[view])) for view in views]
        lines.append(" & ".join([_escaped(row.name), *cells]) + r" \\")
    lines += [
        r"\midrule",
        " & ".join(["Noise ceiling", *limits]) + r" \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _rehearsed(found: Findings) -> str:
    told = words.notes(found)
    return f" {_escaped(' '.join(told))}" if told else ""


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)
