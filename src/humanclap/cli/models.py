"""`humanclap models`: known models, which are at hand, and how far they agree with people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, output_options, text_table
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.clap.published.listing import ListedModel


@click.command(
    epilog="""\b
Examples:
  humanclap models
  humanclap models --json
Then: humanclap score pairs.csv --model clap
"""
)
@output_options
def models(as_json: bool, quiet: bool, output: Path | None) -> None:
    """List the models that have a name: packaged, of the hub, LAION's files, and plug-ins.

    cached: loading needs no network. usable: whether it can be used here and now. agreement: with
    people's ratings, as published. A revision of 12 digits is pinned, main means the newest; the
    signature of scores names the commit that was loaded. This command does not use the network.
    """
    from humanclap.clap.published.listing import listed_models

    found = listed_models()
    if as_json:
        emit(to_json([asdict(model) for model in found]), output=output)
        return
    emit(_text(found), output=output)


_HEADINGS = {
    "packaged": "In the package",
    "hub": "Of the hub (--model NAME; --revision for another commit)",
    "file": "Files of laion_clap (--model PATH)",
    "plug-in": "Of installed plug-ins (--model NAME)",
}


def _text(found: Sequence[ListedModel]) -> str:
    sources = list(dict.fromkeys(m.agreement_source for m in found if m.agreement))
    parts = []
    for kind, heading in _HEADINGS.items():
        rows = [_row(model, sources) for model in found if model.kind == kind]
        if not rows:
            continue
        columns = [name for name in rows[0] if any(row[name] for row in rows)]
        cells = [[row[name] or "–" for name in columns] for row in rows]
        parts.append(f"{heading}\n\n{text_table(columns, cells)}")
    notes = [f"[{number}] {source}" for number, source in enumerate(sources, start=1)]
    pins = dict.fromkeys(m.revision_source for m in found if m.revision_source)
    notes += [f"revisions pinned as in {source}" for source in pins]
    return "\n\n".join([*parts, "\n".join(notes)])


def _row(model: ListedModel, sources: Sequence[str]) -> dict[str, str]:
    """Cells by column; empty where there is nothing to say."""
    note = f" [{sources.index(model.agreement_source) + 1}]" if model.agreement else ""
    return {
        "name": model.name,
        "repository": model.source if model.kind == "hub" else "",
        "package": model.source if model.kind == "plug-in" else "",
        "revision": model.revision[:12] if model.kind == "hub" else "",
        "cached": {True: "yes", False: "no", None: ""}[model.cached],
        "usable": model.usable,
        "parameters": "" if model.parameters is None else f"{model.parameters / 1e6:.1f} M",
        "rate": "" if model.sample_rate is None else f"{model.sample_rate / 1000:g} kHz",
        "licence": model.licence or "unknown",
        "fetch": "" if model.megabytes is None else f"{model.megabytes} MB",
        "agreement with people": model.agreement + note,
    }
