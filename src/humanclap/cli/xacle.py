"""`humanclap xacle`: predict and judge in the file formats of the XACLE challenge."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from humanclap.cli.console import (
    audio_root_option,
    cache_option,
    emit,
    keeps_inputs,
    output_options,
    progress_bar,
    quiet_option,
    remark,
    text_table,
    warn_of_language,
    warn_of_notes,
)
from humanclap.cli.model_options import ChosenModel, chosen_model
from humanclap.json_values import to_json

_PATH = click.Path(path_type=Path)


@click.group(epilog="Example: humanclap xacle evaluate submission.csv averages.csv")
def xacle() -> None:
    """Predict and judge in the formats of the XACLE challenge.

    A list has the columns wav_file_name,text. Averages also have average_score. A submission has
    wav_file_name,pred_score, with predicted ratings on 0..10.
    """


@xacle.command(epilog="Example: humanclap xacle predict test.csv --audio-root wav/ -o sub.csv")
@click.argument("pairs", metavar="LIST", type=_PATH)
@audio_root_option
@chosen_model("score with")
@cache_option
@quiet_option
@click.option("-o", "--output", required=True, type=_PATH, help="Submission to write.")
@keeps_inputs
def predict(
    pairs: Path,
    audio_root: Path | None,
    cache: bool,
    quiet: bool,
    output: Path,
    **given: Any,
) -> None:
    """Write a submission for the pairs of LIST, complete or not at all.

    pred_score is the calibrated rating on 0..10. A model without calibration gives 10 times the
    cosine, or 0 where that is negative.
    """
    from humanclap.xacle import columns_left_out, read_list, write_submission

    wanted = read_list(pairs)
    from humanclap.scoring.run import score_table
    from humanclap.scoring.scorer import HumanCLAP

    scorer = ChosenModel.taken_from(given).scorer(HumanCLAP, quiet=quiet, cache=cache)
    root = audio_root or pairs.parent
    with progress_bar("scoring", quiet=quiet) as progress:
        scores = score_table(scorer, wanted, audio_root=root, progress=progress)
    write_submission(output, scores)
    warn_of_language(scorer.backbone, [item.text for item in scores])
    warn_of_notes(scores)
    if left_out := columns_left_out(pairs):
        remark(
            f"a submission has no place for these columns of {pairs}: {', '.join(left_out)} "
            "(humanclap score keeps them)",
            quiet=quiet,
        )
    remark(f"{len(scores)} predicted -> {output}  {scorer.signature}", quiet=quiet)


@xacle.command(epilog="Example: humanclap xacle evaluate submission.csv averages.csv")
@click.argument("submission", type=_PATH)
@click.argument("averages", type=_PATH)
@click.option("--replicates", default=1000, help="Number of bootstrap replicates.")
@click.option("--seed", default=0, help="Seed of the bootstrap.")
@output_options
def evaluate(
    submission: Path,
    averages: Path,
    replicates: int,
    seed: int,
    as_json: bool,
    quiet: bool,
    output: Path | None,
) -> None:
    """Judge SUBMISSION (wav_file_name,pred_score) by AVERAGES (wav_file_name,text,average_score).

    SRCC, LCC, KTAU (tau-b) and MSE as the challenge defines them, with 95 % intervals by caption.
    A submission is refused where a file is missing, unknown or given twice, or where a score is not
    a number. The correlations of a constant prediction are undefined.
    """
    from humanclap.evaluation.xacle import evaluate_submission

    found = evaluate_submission(submission, averages, replicates=replicates, seed=seed)
    if as_json:
        emit(to_json(asdict(found)), output=output)
        return
    rows = [
        (name.upper(), getattr(found, name), interval.low, interval.high)
        for name, interval in found.intervals.items()
    ]
    table = text_table(("", "value", "low", "high"), rows)
    why = f"\nundefined: {found.reason}" if found.reason else ""
    emit(f"{table}\n{found.n} pairs{why}", output=output)
