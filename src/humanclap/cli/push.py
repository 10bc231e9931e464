"""`humanclap push`: a trained model onto the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: humanclap push runs/first my-name/my-human-clap")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("repo_id")
@click.option("--private", is_flag=True, help="Make a new repository private.")
def push(run: Path, repo_id: str, private: bool) -> None:
    """Upload the model of RUN (a run's folder or a checkpoint) to the hub as REPO_ID.

    The model card is uploaded too. humanclap score --model REPO_ID then loads the model with its
    calibration and the record of its training. ClapModel.from_pretrained(REPO_ID) loads it if it is
    a transformers CLAP. Needs humanclap[hf] and a login (hf auth login).
    """
    from humanclap.clap.publish import push_to_hub

    click.echo(push_to_hub(run, repo_id, private=private))
