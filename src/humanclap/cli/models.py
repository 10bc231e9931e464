"""`humanclap models`: what is known, what is at hand, and how far it agrees with people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, output_options, text_table, to_json

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
    """List the models that have a name: packaged, of the hub, and LAION's files.

    cached: loading needs no network. usable: here and now. agreement: the published one with
    people's ratings. A revision of 12 digits is pinned, a name with main follows the newest; the
    commit that was loaded stands in the signature of scores. Asks no network.
    """
    from humanclap.clap.published.listing import listed_models

    found = listed_models()
    if as_json:
        emit(to_json([asdict(model) for model in found]), output=output)
        return
    emit(_text(found), output=output)


_WHAT = {"packaged": "in the package", "file": "file of laion_clap"}


def _text(found: Sequence[ListedModel]) -> str:
    sources = list(dict.fromkeys(m.agreement_source for m in found if m.agreement))
    columns = [
        *("name", "what", "revision", "cached", "usable", "parameters", "rate", "licence", "fetch"),
        "agreement with people",
    ]
    rows = [
        (
            model.name,
            _WHAT.get(model.kind, model.source),
            model.revision[:12] or "–",
            "yes" if model.cached else "no",
            model.usable,
            "–" if model.parameters is None else f"{model.parameters / 1e6:.1f} M",
            f"{model.sample_rate / 1000:g} kHz",
            model.licence or "not stated",
            "–" if model.megabytes is None else f"{model.megabytes} MB",
            f"{model.agreement} [{sources.index(model.agreement_source) + 1}]"
            if model.agreement
            else "–",
        )
        for model in found
    ]
    notes = [f"[{number}] {source}" for number, source in enumerate(sources, start=1)]
    pins = dict.fromkeys(m.revision_source for m in found if m.revision_source)
    notes += [f"revisions pinned as in {source}" for source in pins]
    return "\n".join([text_table(columns, rows), "", *notes])
