"""`humanclap cache`: the embeddings of clips and texts that were scored before."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from humanclap.cli.console import remark
from humanclap.errors import InputError
from humanclap.json_values import to_json

_DAY_S = 86_400


@click.group(epilog="Example: humanclap cache info")
def cache() -> None:
    """Embeddings of clips and texts, kept so that scoring them again takes no time.

    They are in one file of the user's cache folder, found by the content of the clip, the model and
    the settings. Beyond HUMANCLAP_CACHE_MB megabytes (1000; 0 turns the cache off) the least
    recently used are dropped. HUMANCLAP_CACHE names another folder.
    """


@cache.command(epilog="Example: humanclap cache info --json")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def info(as_json: bool) -> None:
    """Say where the cache is, how large it is, and what is in it."""
    from humanclap.clap.cache import cache_of_user

    found = cache_of_user().info()
    if as_json:
        click.echo(to_json(asdict(found)))
        return
    held = ", ".join(
        f"{count:,} {kind}{'s' * (count != 1)}" for kind, count in found.entries.items()
    )
    click.echo(f"{found.path}\n{found.size / 1e6:.1f} of at most {found.max_bytes / 1e6:g} MB")
    click.echo(held or "empty")
    if found.unused_since is not None:
        days = max(0.0, time.time() - found.unused_since) / _DAY_S
        click.echo(f"unused for at most {days:.1f} days")
    if not found.max_bytes:
        click.echo("off: HUMANCLAP_CACHE_MB is 0")


@cache.command(epilog="Example: humanclap cache clear")
@click.option("-q", "--quiet", is_flag=True, help="No remarks on stderr.")
def clear(quiet: bool) -> None:
    """Delete all embeddings that are kept; fetched models stay."""
    from humanclap.clap.cache import cache_of_user

    kept = cache_of_user()
    try:
        count = sum(kept.info().entries.values())
        what = "1 entry" if count == 1 else f"{count:,} entries"
    except InputError:
        what = "a damaged file"
    kept.clear()
    remark(f"{what} deleted from {kept.path}", quiet=quiet)
