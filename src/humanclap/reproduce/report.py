"""The report of a reproduction: HTML, Markdown, JSON and the paper's table in LaTeX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from humanclap.drawing import Mark
from humanclap.evaluation.markup import html
from humanclap.evaluation.markup.charts import chart
from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.provenance import Provenance
from humanclap.reproduce import words
from humanclap.reproduce.findings import Findings
from humanclap.reproduce.stages import StageTime
from humanclap.typeset import PaperTable, markdown_cell, markdown_table, typeset

TITLE = "Human-CLAP, reproduced"
OWN_TITLE = "Human-CLAP on your ratings"
NAMES = ("report.html", "report.md", "report.json", "table.tex")


def write_report(
    found: Findings, stages: Sequence[StageTime], made: Provenance, output: Path
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


def html_report(found: Findings, stages: Sequence[StageTime], made: Provenance) -> str:
    """One page without outside references; text is escaped."""
    body = html.opening(
        title(found),
        about=f"{found.base_name} · {words.counted_pairs(found)} · {made.date}",
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
    body.append(html.how_made(made, [found.base_name]))
    return html.document(title(found), body)


def _picture(found: Findings) -> str:
    ceiling = found.ceilings.get("all judged")
    limit = math.nan if ceiling is None else ceiling.srcc.value
    bars = [
        Mark(
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


def markdown(found: Findings, stages: Sequence[StageTime], made: Provenance) -> str:
    """The same in Markdown."""
    parts = [f"# {title(found)}", *(f"**{markdown_cell(note)}**" for note in words.notes(found))]
    parts.append("\n".join(map(markdown_cell, words.headline(found))))
    for question, told in [*words.answers(found), ("How this was computed", words.method(found))]:
        parts.append(f"## {question}\n\n" + "\n".join(f"- {markdown_cell(x)}" for x in told))
    for name, content in (
        ("Every model", words.table(found)),
        ("Time and memory", _stages(stages)),
    ):
        parts.append(f"## {name}\n\n" + "\n".join(markdown_table(*content)).rstrip())
    command = f", by `{made.command}`" if made.command else ""
    parts.append(f"Made {made.date}{command}, with {made.software}.")
    return "\n\n".join(parts) + "\n"


def as_json(found: Findings, stages: Sequence[StageTime], made: Provenance) -> str:
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
    return to_json(content) + "\n"


_COLUMNS = ("all judged", "test alone", "natural", "synthetic", "within systems")


def latex(found: Findings) -> str:
    """SRCC by model, as the paper's table has it, with intervals; needs the package booktabs."""
    heads, rows = words.table(found)
    places = [0, 1, *(heads.index(view) for view in _COLUMNS if view in heads)]
    table = PaperTable(
        caption=" ".join(
            [f"SRCC with people, {found.judged_pairs:,} pairs, 95 % intervals over captions.",
             *words.notes(found)]
        ),
        label="human-clap",
        columns=tuple(heads[place] for place in places),
        rows=tuple(tuple(row[place] for place in places) for row in rows),
    )  # fmt: skip
    return typeset([table], "latex") + "\n"
