"""`humanclap push`: a trained model onto the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: humanclap push runs/first my-name/my-human-clap")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("repo_id")
@click.option("--private", is_flag=True, help="Make the repository private, where it is made.")
def push(run: Path, repo_id: str, private: bool) -> None:
    """Upload the model of RUN (a run's folder or a checkpoint) to the hub as REPO_ID.

    Its model card goes with it. humanclap score --model REPO_ID then loads it with its
    calibration, card and record of training; a transformers CLAP also
    ClapModel.from_pretrained(REPO_ID). Needs humanclap[hf] and a login (hf auth login).
    """
    from humanclap.clap.publish import push_to_hub

    click.echo(push_to_hub(run, repo_id, private=private))
