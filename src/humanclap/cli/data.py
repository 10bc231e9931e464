"""`humanclap data`: download data sets from their publishers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from humanclap.cli.console import json_option, progress_bar, quiet_option, remark
from humanclap.errors import listed
from humanclap.json_values import to_json

_PATH = click.Path(path_type=Path)


@click.group(epilog="Example: humanclap data relate -o RELATE/")
def data() -> None:
    """Download data sets from their publishers."""


@data.command(epilog="Example: humanclap data relate -o RELATE/ --scores RELATE/scores/REL.csv")
@click.option("-o", "--output", required=True, type=_PATH, help="Folder to unpack into.")
@click.option(
    "--readme",
    type=_PATH,
    help="Take the archive's address from this copy of the dataset's README.",
)
@click.option("--url", help="Take the archive from this address instead.")
@click.option("--sha256", help="Refuse an archive with another SHA-256.")
@click.option(
    "--scores", type=_PATH, help="Table REL.csv: list which of its rated clips are missing."
)
@click.option("--keep-archive", is_flag=True, help="Do not delete the zip when it is unpacked.")
@quiet_option
@json_option
def relate(
    output: Path,
    readme: Path | None,
    url: str | None,
    sha256: str | None,
    scores: Path | None,
    keep_archive: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Download RELATE's clips (Kanamori et al., Interspeech 2025) from its README's address.

    If it is stopped, the same command goes on where it was. The dataset states neither a licence
    nor a hash: the hash of the download is recorded beside it and compared the next time.
    """
    from humanclap.fetch.relate import README_ADDRESS, address_in, fetch_relate

    if url is not None and readme is not None:
        raise click.UsageError("give --url or --readme, not both")
    address = url or (README_ADDRESS if readme is None else address_in(readme))
    remark(f"from {address}", quiet=quiet)
    with progress_bar("relate", quiet=quiet) as progress:
        found = fetch_relate(
            output,
            url=address,
            sha256=sha256,
            scores=scores,
            keep_archive=keep_archive,
            progress=progress,
        )
    if as_json:
        click.echo(to_json(asdict(found)))
    else:
        click.echo(f"{found.clips} clips in {found.folder}\narchive SHA-256 {found.sha256}")
    if found.missing:
        named = listed(found.missing, 3)
        remark(f"warning: {len(found.missing)} rated clips are missing: {named}", quiet=False)
