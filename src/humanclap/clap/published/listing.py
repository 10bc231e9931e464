"""The table of models: what is known, what is at hand here, and what people say of it."""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from importlib.metadata import entry_points
from pathlib import Path

from safetensors import safe_open

from humanclap.clap.checkpoint_files import (
    MANIFEST,
    MODEL_CARD,
    SHARES,
    card_licence,
    packaged_folder,
    packaged_names,
    read_json,
)
from humanclap.clap.published.hub_cache import ANY_WEIGHTS, CONFIG, WEIGHTS, cached_file
from humanclap.clap.published.registry import KNOWN, MAIN, PLUGIN_GROUP, KnownModel
from humanclap.download.cache import cache_folder

PACKAGED_CARD = "its card: humanclap/clap/weights/{name}/README.md"
_AUDIO = "audio_encoder."
_MN04_PARAMETERS = 983_599
"""Of the audio tower of mn04_as, which is not in the package."""
_AGREEMENT = "RELATE validation, screened: SRCC"
"""The row of the packaged models' card that says how far people agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A row of `humanclap models`.

    kind: `packaged`, `hub`, `file` or `plug-in`; source: hub id, file of one, or package; revision:
    the pinned commit, `main` where none is pinned, empty where there are none; cached: whether
    loading needs no network; usable: `yes`, or what it takes, in words; parameters: how many
    are stored (a matrix of zeros is not); sample_rate: Hz; megabytes: to fetch, 0 where nothing is.
    None, or empty, where unknown.
    """

    name: str
    kind: str
    source: str = ""
    revision: str = ""
    revision_source: str = ""
    cached: bool | None = None
    usable: str = "yes"
    parameters: int | None = None
    sample_rate: int | None = None
    licence: str = ""
    megabytes: int | None = None
    agreement: str = ""
    agreement_source: str = ""


def listed_models() -> list[ListedModel]:
    """Every packaged and published model, and those of plug-ins; asks no network.

    >>> [model.usable for model in listed_models() if model.name == "mini"]
    ['yes']
    """
    return [*map(_packaged, packaged_names()), *map(_published, KNOWN), *_plugins()]


def _packaged(name: str) -> ListedModel:
    folder = packaged_folder(name)
    config = read_json(folder / CONFIG)
    over_mn04 = read_json(folder / MANIFEST).get("backbone") == "mini-mn04"
    cached = not over_mn04 or _has_mn04()
    base = str(config.get(SHARES, name))
    agreement = card_agreement(packaged_folder(base) / MODEL_CARD, name)
    return ListedModel(
        name=name,
        kind="packaged",
        cached=cached,
        usable="yes" if cached else "once fetched",
        parameters=_parameters(packaged_folder(base), over_mn04=over_mn04),
        sample_rate=int(config["sample_rate"]),
        licence=card_licence(folder),
        megabytes=4 if over_mn04 else 0,
        agreement=agreement,
        agreement_source=PACKAGED_CARD.format(name=base) if agreement else "",
    )


def _plugins() -> Iterator[ListedModel]:
    """Models of installed packages; nothing else is known of them before they are loaded."""
    for entry in sorted(entry_points(group=PLUGIN_GROUP), key=lambda entry: entry.name):
        package = entry.dist.name if entry.dist is not None else entry.value
        yield ListedModel(name=entry.name, kind="plug-in", source=package)


def _published(known: KnownModel) -> ListedModel:
    has_hub = importlib.util.find_spec("huggingface_hub") is not None
    cached = has_hub and _is_cached(known)
    names = {field.name for field in fields(ListedModel)}
    shared = {name: value for name, value in asdict(known).items() if name in names}
    shared["revision"] = known.revision or MAIN
    return ListedModel(**shared, cached=cached, usable=_usable(known, cached=cached))


def _usable(known: KnownModel, *, cached: bool) -> str:
    if importlib.util.find_spec("transformers") is None:
        return "needs humanclap[hf]"
    if known.kind == "file":
        return "by its path"
    return "yes" if cached else "once fetched"


def _is_cached(known: KnownModel) -> bool:
    if known.kind == "file":
        owner, name, file = known.source.split("/")
        return cached_file(f"{owner}/{name}", file, known.revision) is not None
    found = (cached_file(known.source, name, known.revision) for name in ANY_WEIGHTS)
    return any(path is not None for path in found)


def _has_mn04() -> bool:
    from humanclap.clap.mini.mn04_file import MN04_FILE, PATH_VARIABLE

    given = os.environ.get(PATH_VARIABLE)
    return Path(given).is_file() if given else (cache_folder() / MN04_FILE).is_file()


def _parameters(folder: Path, *, over_mn04: bool) -> int:
    """How many numbers a packaged model stores, from the head of the file in `folder`."""
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        names: list[str] = list(file.keys())
        sizes = {name: int(math.prod(file.get_slice(name).get_shape())) for name in names}
    if not over_mn04:
        return sum(sizes.values())
    own = sum(size for name, size in sizes.items() if not name.startswith(_AUDIO))
    return own + _MN04_PARAMETERS


def card_agreement(card: Path, name: str) -> str:
    """What a packaged model's card says of people's agreement with it: SRCC, interval and n.

    card: with the table of `recipes/mini/cards.py`, a column for each model; empty where it has
    no such row or column.
    """
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in card.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    head = next((row for row in rows if name in row), [])
    row = next((row for row in rows if row[0] == _AGREEMENT), [])
    if not head or len(row) != len(head):
        return ""
    n = re.match(r"\d+", row[1])
    return f"SRCC {row[head.index(name)]}" + (f", n = {n[0]}" if n else "")
