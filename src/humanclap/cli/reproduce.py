"""`humanclap reproduce`: a paper's whole way in one command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from humanclap.cli.console import device_option, made_here, progress_bar, remark

_PATH = click.Path(path_type=Path)
Command = TypeVar("Command", bound=Callable[..., object])
_TRAINING = (
    click.option(
        "--seeds", default="0,1,2", show_default=True, help="Seeds of every training run."
    ),
    click.option("--base", default="clap-fused", show_default=True, help="Model to train."),
    device_option,
    click.option(
        "--precision",
        type=click.Choice(["auto", "bf16", "fp32"]),
        default="auto",
        show_default=True,
        help="Of training, auto: bf16 on CUDA, else fp32; published models are scored in fp32.",
    ),
    click.option("--epochs", default=20, show_default=True, help="Epochs of a run at the most."),
    click.option("--batch-size", default=32, show_default=True, help="Pairs in a training step."),
)


def training_options(command: Command) -> Command:
    """How the runs train: the options that both reproductions share."""
    for option in reversed(_TRAINING):
        command = option(command)
    return command


@click.group(epilog="Example: humanclap reproduce human-clap -o runs/human-clap --dry-run")
def reproduce() -> None:
    """Reproduce published results, from their publishers' files to a report."""


@reproduce.command(
    "human-clap",
    epilog="""\b
Examples:
  humanclap reproduce human-clap -o runs/human-clap --dry-run
  humanclap reproduce human-clap -o runs/human-clap
  humanclap reproduce human-clap -o runs/human-clap --resume
  humanclap reproduce human-clap -o runs/mine --ratings mine.csv --audio-root clips/
""",
)
@click.option("-o", "--output", required=True, type=_PATH, help="Folder of everything it writes.")
@click.option("--dry-run", is_flag=True, help="Print the plan and stop: nothing is fetched.")
@click.option(
    "--quick",
    is_flag=True,
    help="Rehearse: 300 pairs train and 300 judge, one seed, 2 epochs, projections only.",
)
@click.option("--resume", is_flag=True, help="Go on with what the folder holds.")
@click.option(
    "--objectives", help="Names to train, commas between.  [default: the paper's seven, and SCE]"
)
@click.option(
    "--against",
    help="Further models to judge, commas between; none: an empty text.  [default: clap and the "
    "released Human-CLAP checkpoints]",
)
@click.option("--ratings", type=_PATH, help="Your own ratings instead of RELATE's.")
@click.option("--audio-root", type=_PATH, help="Where the clips of --ratings are.")
@click.option("--scale", default="0..10", show_default=True, help="Scale of --ratings.")
@training_options
@click.option("--scores-url", help="Other address of RELATE's REL.csv.")
@click.option("--scores-sha256", help="SHA-256 of REL.csv, where it is another version of it.")
@click.option("--archive-url", help="Other address of RELATE's archive of clips.")
@click.option("--archive-sha256", help="Refuse an archive with another SHA-256 than this.")
@click.option("--offline", is_flag=True, help="Fetch no model: take them from the hub's cache.")
@click.option("--simulated", is_flag=True, help="The ratings are simulated; every page says so.")
@click.option("--note", default="", help="A sentence that stands first in the report.")
@click.option("-q", "--quiet", is_flag=True, help="No plan, progress or remarks on stderr.")
def human_clap(
    output: Path,
    dry_run: bool,
    quick: bool,
    resume: bool,
    seeds: str,
    objectives: str | None,
    base: str,
    against: str | None,
    ratings: Path | None,
    audio_root: Path | None,
    scale: str,
    device: str,
    precision: str,
    epochs: int,
    batch_size: int,
    scores_url: str | None,
    scores_sha256: str | None,
    archive_url: str | None,
    archive_sha256: str | None,
    offline: bool,
    simulated: bool,
    note: str,
    quiet: bool,
) -> None:
    """Does training on human ratings make CLAP agree with people? (arXiv 2506.23553)

    Brings RELATE's ratings and clips, scores both conventional CLAPs and the released Human-CLAP
    checkpoints, trains the paper's grid from the same base, and judges all on pairs that no
    training met. Ends in report.html, report.md, report.json, table.tex and a checkpoint for score
    and push. First comes the plan: what is fetched, disk, memory, hours by a few timed steps.
    Killed at any time, the same command with --resume goes on and loses an epoch at the most.
    """
    from humanclap.reproduce.human_clap import reproduce_human_clap
    from humanclap.reproduce.plan import make_plan
    from humanclap.reproduce.request import PLAIN, RELEASED, Request
    from humanclap.reproduce.stages import check_folder

    def chosen(given: str | None, usual: tuple[str, ...]) -> tuple[str, ...]:
        return usual if given is None else tuple(filter(None, map(str.strip, given.split(","))))

    usual = Request()
    others = chosen(against, (*PLAIN, *RELEASED))
    request = Request(
        seeds=_numbers(seeds),
        objectives=chosen(objectives, usual.objectives),
        quick=quick,
        base=base,
        plain=tuple(name for name in others if not name.startswith("human-clap")),
        released=tuple(name for name in others if name.startswith("human-clap")),
        device=device,
        precision=precision,
        epochs=epochs,
        batch_size=batch_size,
        ratings=ratings,
        audio_root=audio_root,
        scale=scale,
        scores_url=scores_url or usual.scores_url,
        scores_sha256=scores_sha256 or usual.scores_sha256,
        archive_url=archive_url or usual.archive_url,
        archive_sha256=archive_sha256,
        offline=offline,
        simulated=simulated,
        note=note,
    )
    if not dry_run:
        check_folder(output, request.as_dict(), resume=resume)
    with progress_bar("timing a few steps", quiet=quiet):
        plan = make_plan(request, output)
    if dry_run:
        click.echo("\n".join(plan.lines()))
        return
    for line in plan.lines():
        remark(line, quiet=quiet)
    with progress_bar("reproducing", quiet=quiet) as progress:
        found = reproduce_human_clap(
            request, output, plan=plan, resume=resume, made=made_here(), progress=progress
        )
    from humanclap.reproduce import words

    for line in (*words.notes(found.findings), *words.headline(found.findings)):
        click.echo(line)
    remark(f"report: {found.reports[0]}; checkpoint: {found.checkpoint}", quiet=quiet)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(
            f"--seeds is {text!r}; expected whole numbers, such as 0,1,2"
        ) from None


@reproduce.command(
    epilog="""\b
Examples:
  humanclap reproduce xacle XACLE_dataset/ -o runs/xacle
  humanclap reproduce xacle XACLE_dataset/ -o runs/xacle --resume
"""
)
@click.argument("archive", metavar="FOLDER", type=_PATH)
@click.option("-o", "--output", required=True, type=_PATH, help="Folder of everything it writes.")
@click.option("--dry-run", is_flag=True, help="Check the folder, say what is there, and stop.")
@click.option("--quick", is_flag=True, help="Rehearse: one seed, 2 epochs, projections only.")
@click.option("--resume", is_flag=True, help="Go on with what the folder holds.")
@training_options
@click.option("--offline", is_flag=True, help="Fetch no model: take it from the hub's cache.")
@click.option("--simulated", is_flag=True, help="The ratings are simulated; every page says so.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no remarks on stderr.")
def xacle(
    archive: Path,
    output: Path,
    dry_run: bool,
    quick: bool,
    resume: bool,
    seeds: str,
    base: str,
    device: str,
    precision: str,
    epochs: int,
    batch_size: int,
    offline: bool,
    simulated: bool,
    quiet: bool,
) -> None:
    """Train on the XACLE challenge, judge by its figures, and write a submission.

    FOLDER is its archive unpacked: meta_data/train_average.csv and validation_average.csv, wav/;
    for a submission also meta_data/test.csv and wav/test. The organisers send it by mail
    (https://xacle.org). Training pairs train and choose the epoch; the official validation pairs
    judge. Ends in table.html, validation_submission.csv and submission.csv.
    """
    from humanclap.reproduce.request import Request
    from humanclap.reproduce.xacle import reproduce_xacle
    from humanclap.xacle import read_archive

    request = Request(
        seeds=_numbers(seeds),
        quick=quick,
        base=base,
        device=device,
        precision=precision,
        epochs=epochs,
        batch_size=batch_size,
        offline=offline,
        simulated=simulated,
    )
    if dry_run:
        data = read_archive(archive)
        train = sum(item.split == "train" for item in data.rated)
        click.echo(
            f"{train} pairs train, {len(data.rated) - train} judge, {len(data.test)} to predict"
        )
        return
    with progress_bar("reproducing", quiet=quiet) as progress:
        found = reproduce_xacle(
            request, archive, output, resume=resume, made=made_here(), progress=progress
        )
    figures = found.validation
    click.echo(found.experiment.text.rstrip())
    click.echo(
        f"{found.best}, best on the pairs that chose, on the validation pairs (n = {figures.n}): "
        f"SRCC {figures.srcc:.3f}, LCC {figures.lcc:.3f}, KTAU {figures.ktau:.3f}, "
        f"MSE {figures.mse:.3f}"
    )
    where = found.submission or "none: there is no meta_data/test.csv"
    remark(f"submission: {where}; checkpoint: {found.checkpoint}", quiet=quiet)
