"""A checkpoint file of LAION's CLAP as a folder that transformers loads too."""

from __future__ import annotations

from pathlib import Path

from humanclap.clap.checkpoint import Checkpoint, save_checkpoint
from humanclap.clap.laion import load_laion
from humanclap.fingerprint import sha256_file


def convert_laion(
    file: str | Path,
    folder: str | Path,
    *,
    processor: str | Path | None = None,
    offline: bool = False,
) -> Checkpoint:
    """Write what `load_laion` loads as a folder that transformers' ClapModel loads too.

    Returns what is in the folder. An existing folder is replaced only if it is a checkpoint of
    humanclap. Raises as `load_laion` and `save_checkpoint`.
    """
    file = Path(file)
    checkpoint = Checkpoint(load_laion(file, processor=processor, offline=offline))
    card = _CARD.format(name=checkpoint.name, file=file.name, sha256=sha256_file(file))
    save_checkpoint(checkpoint, folder, model_card=card)
    return checkpoint


_CARD = """# {name}

A CLAP of LAION (Wu et al. 2023, arXiv 2211.06687), converted by `humanclap convert` from

    {file}
    sha256 {sha256}

The weights are those of the file, under the names of transformers' `ClapModel`. The tagging
head and the extra heads of its training are left out, because they make no embedding. Terms: those
of the file.
"""
