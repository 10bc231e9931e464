"""`humanclap convert`: a checkpoint file of LAION's CLAP to a folder that transformers loads."""

from __future__ import annotations

from pathlib import Path

import click

from humanclap.cli.console import remark


@click.command(epilog="Example: humanclap convert 630k-audioset-best.pt -o 630k-audioset-best/")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write."
)
@click.option(
    "--processor",
    help="Folder or hub id of tokenizer and feature extractor.  [default: what lies beside FILE, "
    "else laion/clap-htsat-fused or -unfused]",
)
@click.option("--offline", is_flag=True, help="Use the network for nothing.")
@click.option("-q", "--quiet", is_flag=True, help="No remarks on stderr.")
def convert(file: Path, output: Path, processor: str | None, offline: bool, quiet: bool) -> None:
    """Write a checkpoint FILE of LAION's CLAP (.pt) as a folder of a transformers ClapModel.

    humanclap also reads the file itself wherever it takes a model (--model FILE). The folder is for
    other programs, loads faster and also holds the tokenizer. Its scores are the same. Needs
    humanclap[hf].
    """
    from humanclap.clap.convert import convert_laion

    checkpoint = convert_laion(file, output, processor=processor, offline=offline)
    weights = sum(one.numel() for one in checkpoint.backbone.module().parameters())
    remark(
        f"{weights / 1e6:.0f} million parameters, fingerprint {checkpoint.backbone.fingerprint()}",
        quiet=quiet,
    )
    click.echo(output)
