"""`humanclap reproduce`: a paper's whole way in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import device_option, made_here, progress_bar, quiet_option, remark
from humanclap.cli.console import options as add_options
from humanclap.cli.training_options import PATH, output_folder, simulated_option

if TYPE_CHECKING:
    from humanclap.reproduce.request import Request

_OUTPUT = output_folder("Folder of everything it writes.")
_RESUME = click.option("--resume", is_flag=True, help="Go on from what the folder holds.")
_OFFLINE = click.option(
    "--offline", is_flag=True, help="Fetch no model; take all from the hub's cache."
)
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
        help="Precision of training; auto: bf16 on CUDA, else fp32. Scores are made in fp32.",
    ),
    click.option("--epochs", default=20, show_default=True, help="Most epochs of a run."),
    click.option("--batch-size", default=32, show_default=True, help="Pairs in a training step."),
)
_HUMAN_CLAP = (
    _OUTPUT,
    click.option("--dry-run", is_flag=True, help="Print the plan and stop: nothing is fetched."),
    click.option(
        "--quick",
        is_flag=True,
        help="Rehearse: 300 pairs train and 300 judge, one seed, 2 epochs, projections only.",
    ),
    _RESUME,
    click.option(
        "--objectives",
        help="Objectives to train, separated by commas.  [default: the paper's seven, and SCE]",
    ),
    click.option(
        "--against",
        help="Other models to judge, separated by commas; an empty text for none.  [default: clap "
        "and the released Human-CLAP checkpoints]",
    ),
    click.option("--ratings", type=PATH, help="Your own ratings instead of RELATE's."),
    click.option("--audio-root", type=PATH, help="Where the clips of --ratings are."),
    click.option("--scale", default="0..10", show_default=True, help="Scale of --ratings."),
    *_TRAINING,
    click.option("--scores-url", help="Fetch RELATE's REL.csv from this address."),
    click.option("--scores-sha256", help="SHA-256 of REL.csv, if you take another version of it."),
    click.option("--archive-url", help="Fetch RELATE's archive of clips from this address."),
    click.option("--archive-sha256", help="Refuse the archive unless it has this SHA-256."),
    _OFFLINE,
    simulated_option,
    click.option("--note", default="", help="A sentence to put first in the report."),
    quiet_option,
)
_XACLE = (
    _OUTPUT,
    click.option("--dry-run", is_flag=True, help="Check the folder, say what is there, and stop."),
    click.option("--quick", is_flag=True, help="Rehearse: one seed, 2 epochs, projections only."),
    _RESUME,
    *_TRAINING,
    _OFFLINE,
    simulated_option,
    quiet_option,
)


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
@add_options(*_HUMAN_CLAP)
def human_clap(
    output: Path,
    dry_run: bool,
    resume: bool,
    objectives: str | None,
    against: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Does training on human ratings make CLAP agree with people? (arXiv 2506.23553)

    Fetches RELATE's ratings and clips, scores both conventional CLAPs and the released Human-CLAP
    checkpoints, trains the paper's grid from the same base, and judges all of them on pairs that
    no training met. Writes report.html, report.md, report.json, table.tex and a checkpoint for
    score and push. It first prints a plan: what it will fetch, the disk and memory it needs, and
    the hours, estimated from a few timed steps. If it is killed, the same command with --resume
    goes on and loses one epoch at most.
    """
    from humanclap.reproduce.human_clap import reproduce_human_clap
    from humanclap.reproduce.plan import make_plan
    from humanclap.reproduce.stages import check_folder

    request = _request(options, objectives=objectives, against=against)
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


def _request(
    options: dict[str, Any], *, objectives: str | None = None, against: str | None = None
) -> Request:
    """The request of these options; what is not given has its default.

    options: fields of `Request`, with seeds as they were typed.
    """
    from humanclap.reproduce.request import Request

    given = {name: value for name, value in options.items() if value is not None}
    given["seeds"] = _numbers(options["seeds"])
    if objectives is not None:
        given["objectives"] = _names(objectives)
    if against is not None:
        others = _names(against)
        given["plain"] = tuple(name for name in others if not name.startswith("human-clap"))
        given["released"] = tuple(name for name in others if name.startswith("human-clap"))
    return Request(**given)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


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
@click.argument("archive", metavar="FOLDER", type=PATH)
@add_options(*_XACLE)
def xacle(
    archive: Path, output: Path, dry_run: bool, resume: bool, quiet: bool, **options: Any
) -> None:
    """Train on the XACLE challenge, judge by its figures, and write a submission.

    FOLDER is its archive unpacked: meta_data/train_average.csv and validation_average.csv, wav/;
    for a submission also meta_data/test.csv and wav/test. The organisers send it by mail
    (https://xacle.org). Training pairs train and choose the epoch; the official validation pairs
    judge. Ends in table.html, validation_submission.csv and submission.csv.
    """
    from humanclap.reproduce.xacle import reproduce_xacle
    from humanclap.xacle import read_archive

    request = _request(options)
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
