"""`humanclap score --runner ray`: manifests of any length, on this machine or a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import (
    Command,
    progress_bar,
    remark,
    warn_of_language,
    warn_of_notes,
)
from humanclap.cli.main import EXIT_SOME_FAILED
from humanclap.cli.score_report import remark_renamed, report, summarise_scores
from humanclap.cluster.places import is_url
from humanclap.files import STANDARD

if TYPE_CHECKING:
    from humanclap.cluster.parts import Parts
    from humanclap.cluster.pipeline import ClusterOutcome
    from humanclap.scoring.scorer import HumanCLAP

MOST_SUMMARISED = 200_000
"""Rows up to which scores are read back whole for the summary; about 1 KB each."""
_LOCAL_ONLY = {
    "text": "TEXT",
    "texts": "--texts",
    "allow_unmatched": "--allow-unmatched",
    "latex": "--latex",
    "markdown": "--markdown",
    "figures": "--figures",
    "as_json": "--json",
}


class _Place(click.ParamType):  # type: ignore[type-arg]  # older clicks take none
    """A path, or an address such as s3://bucket/clips, which stays as it is written."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | str:
        """An address is a str, a path a Path."""
        return value if isinstance(value, str) and is_url(value) else Path(value)


PLACE = _Place()


def ray_options(command: Command) -> Command:
    """Add --runner and what goes with Ray."""
    for option in (
        click.option(
            "--shard-rows",
            type=click.IntRange(min=1),
            help="With --runner ray: rows that are written together, the most that a killed run "
            "does again for each worker.  [default: 500]",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            help="With --runner ray: processes that hold the model.  [default: one a GPU, or one a "
            "CPU thread of --threads]",
        ),
        click.option(
            "--ray-address",
            help="With --runner ray: a running Ray cluster, such as auto or 10.0.0.1:6379.  "
            "[default: Ray on this machine, for this run]",
        ),
        click.option(
            "--runner",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="What runs the work: this process, or Ray (humanclap[ray]) for manifests of any "
            "length, addresses and clusters; the scores are the same.",
        ),
    ):
        command = option(command)
    return command


def score_on_ray(given: Mapping[str, Any]) -> int:
    """Score a manifest on Ray; given: the parameters of `humanclap score`."""
    source, output, quiet = given["source"], given["output"], given["quiet"]
    for name, option in _LOCAL_ONLY.items():
        if given[name]:
            raise click.UsageError(f"{option} is for --runner local")
    if str(source) == STANDARD:
        raise click.UsageError("--runner ray reads files, not standard input (-)")
    if output is None or str(output) == STANDARD:
        raise click.UsageError("--runner ray needs -o: a table, or a folder for its parts")
    from humanclap.cluster.run import ClusterSettings, scored_manifest
    from humanclap.cluster.scoring import LoadModel
    from humanclap.scoring.settings import ScoringSettings

    names = ("device", "precision", "engine", "hop_s", "batch_windows", "cache")
    load = LoadModel(
        model=_from_anywhere(given["model"]),
        settings=ScoringSettings(**{name: given[name] for name in names}),
        mn04=given["mn04"] and given["mn04"].absolute(),
        **{name: given[name] for name in ("offline", "revision", "processor")},
    )
    scorer = load()
    cluster = {name: given[name] for name in ("ray_address", "workers", "threads", "shard_rows")}
    with (
        progress_bar("scoring", quiet=quiet) as progress,
        scored_manifest(
            str(source),
            str(output),
            scorer=scorer,
            load=load,
            audio_root=given["audio_root"] and str(given["audio_root"]),
            settings=ClusterSettings(**{k: v for k, v in cluster.items() if v is not None}),
            restart=given["restart"],
            progress=progress,
        ) as (outcome, parts),
    ):
        return _report(outcome, parts, scorer, str(output), quiet)


def _from_anywhere(model: str) -> str:
    """A checkpoint's folder as a path from the root: workers stand elsewhere."""
    return str(Path(model).absolute()) if Path(model).exists() else model


def _report(
    outcome: ClusterOutcome, parts: Parts, scorer: HumanCLAP, output: str, quiet: bool
) -> int:
    renamed = {name: kept for name, kept in parts.plan.further.items() if name != kept}
    remark_renamed(renamed, quiet)
    remark(
        f"{outcome.scored_now:,} of {outcome.rows:,} rows in this run, {outcome.rows_per_s:.1f} a "
        f"second, {outcome.deaths} workers died",
        quiet=quiet,
    )
    if outcome.rows > MOST_SUMMARISED:
        _count(parts, quiet)
        remark(f"{outcome.rows - outcome.failed} scored -> {output}  {outcome.signature}",
               quiet=quiet)  # fmt: skip
        return EXIT_SOME_FAILED if outcome.failed else 0
    scores = list(parts.scores())
    warn_of_language(scorer.backbone, [item.text for item in scores if item.error is None])
    warn_of_notes(scores)
    summarise_scores(scores, scorer, None, None, None, quiet, kept=True)
    return report(scores, outcome.signature, output, quiet)


def _count(parts: Parts, quiet: bool) -> None:
    """A line a system, of a table too long for intervals: clips, their mean score, failures."""
    for system, found in parts.counts().items():
        remark(
            f"{system or 'no system'}  n = {found.clips:,} clips  mean score over clips "
            f"{found.mean:.3f}  {found.failed:,} failed",
            quiet=quiet,
        )
    remark("for means over prompts with intervals: humanclap compare", quiet=quiet)
