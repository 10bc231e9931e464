"""Models known by a short name: what each is, where it comes from, and at which revision.

The only list of them. A pinned revision is a commit of the hub repository, so that a name means the
same weights tomorrow; a name without one follows `main`. Revisions, sizes and licences were read
at the sources that stand beside them, not looked up on the hub.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from humanclap.errors import CheckpointError

Kind = Literal["hub", "file"]
PLUGIN_GROUP = "humanclap.models"
"""Group of entry points by which installed packages name further models (`clap.plugin`)."""
MAIN = "main"
"""The branch of the hub that a name without a pinned revision follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A published CLAP: `name` for people, `source` for the hub.

    kind: `hub` for a repository of a transformers ClapModel, `file` for one of laion_clap's weight
    files, named by `source` as `owner/repository/file`. revision: the pinned commit, 40 hex digits,
    None where no source that we could read states one; revision_source: that source. parameters:
    all of them; sample_rate: Hz. licence: in the hub's words, empty where unknown.
    megabytes: to fetch, weights and tokenizer, None where unknown. agreement: the published one
    with people, and its source, both empty where there is none. sha256: of `model.safetensors` at
    that revision. aliases: further names. Raises CheckpointError for a revision that is no commit.
    """

    name: str
    source: str
    kind: Kind = "hub"
    revision: str | None = None
    revision_source: str = ""
    parameters: int | None = None
    sample_rate: int = 48_000
    licence: str = ""
    megabytes: int | None = None
    agreement: str = ""
    agreement_source: str = ""
    sha256: str | None = None
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.revision is not None and not is_commit(self.revision):
            raise CheckpointError(f"{self.name}: revision {self.revision!r} is no commit")
        if (self.revision is None) != (not self.revision_source):
            raise CheckpointError(f"{self.name}: a revision and its source belong together")
        if bool(self.agreement) != bool(self.agreement_source):
            raise CheckpointError(f"{self.name}: an agreement and its source belong together")

    @property
    def address(self) -> str:
        """The page of the hub where it lies, or where the file is."""
        owner, name, *file = self.source.split("/")
        below = f"/resolve/{self.revision or MAIN}/{file[0]}" if file else ""
        return f"https://huggingface.co/{owner}/{name}{below}"


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit hash, which never comes to mean anything else.

    >>> is_commit("06788887d254df15db5c0ca9d54da39d46188063"), is_commit("main")
    (True, False)
    """
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


_MTEB = (
    "https://github.com/embeddings-benchmark/mteb, mteb/models/model_implementations/clap_models.py"
)
_RECORD = "https://github.com/gbibbo/audioldm-modality-swap-pruning, docs/recovery_reversal_v1.md"
_PAPER = "https://arxiv.org/abs/2506.23553"
_TUNED_PARAMETERS = 153_507_530
"""Of the fused HTSAT-tiny CLAP that human-clap was tuned from."""


def _laion(name: str, source: str, revision: str, parameters: int, megabytes: int) -> KnownModel:
    return KnownModel(
        name=name,
        source=source,
        revision=revision,
        revision_source=_MTEB,
        parameters=parameters,
        licence="apache-2.0",
        megabytes=megabytes,
    )


def _human_clap(objective: str) -> KnownModel:
    """One of the published objectives whose revision no source at hand states."""
    return KnownModel(
        name=f"human-clap-{objective}",
        source=f"sarulab-speech/human-clap-{objective}",
        parameters=_TUNED_PARAMETERS,
        megabytes=619,
    )


def _laion_file(name: str, megabytes: int | None) -> KnownModel:
    return KnownModel(
        name=name,
        source=f"lukewys/laion_clap/{name}.pt",
        kind="file",
        licence="cc0-1.0",
        megabytes=megabytes,
    )


KNOWN = (
    _laion(
        "clap",
        "laion/clap-htsat-unfused",
        "8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a",
        153_492_890,
        618,
    ),
    _laion(
        "clap-fused",
        "laion/clap-htsat-fused",
        "cca9e288ab447cee67d9ada1f85ddb46500f1401",
        153_507_530,
        618,
    ),
    _laion(
        "clap-general",
        "laion/larger_clap_general",
        "ada0c23a36c4e8582805bb38fec3905903f18b41",
        193_913_882,
        780,
    ),
    _laion(
        "clap-music",
        "laion/larger_clap_music",
        "a0b4534a14f58e20944452dff00a22a06ce629d1",
        193_913_882,
        780,
    ),
    _laion(
        "clap-music-speech",
        "laion/larger_clap_music_and_speech",
        "195c3a3e68faebb3e2088b9a79e79b43ddbda76b",
        193_913_882,
        780,
    ),
    KnownModel(
        name="human-clap",
        source="sarulab-speech/human-clap-wsce-mae",
        revision="06788887d254df15db5c0ca9d54da39d46188063",
        revision_source=_RECORD,
        parameters=_TUNED_PARAMETERS,
        megabytes=619,
        agreement="SRCC above 0.45",
        agreement_source=f"{_PAPER}: ratings of relevance; conventional CLAPs 0.280 and 0.278",
        sha256="09357f504d52900cb1bc3bf2fe1f3173dd1702781ef0bdedb122a6e47d4c5c61",
        aliases=("human-clap-wsce-mae",),
    ),
    *map(_human_clap, ("wsce", "mse", "mae", "wsce-mse", "mse-mae", "wsce-mse-mae")),
    _laion_file("630k-audioset-best", 1860),
    _laion_file("630k-audioset-fusion-best", None),
    _laion_file("music_speech_audioset_epoch_15_esc_89.98", 2350),
)
"""Every model with a short name that is not in the package, as `humanclap models` lists them."""


def known_model(name: str) -> KnownModel | None:
    """The model of a short name, None where there is none.

    >>> known_model("clap").source, known_model("Clap")
    ('laion/clap-htsat-unfused', None)
    """
    return next((one for one in KNOWN if name == one.name or name in one.aliases), None)


def known_repository(repo_id: str) -> KnownModel | None:
    """The known model that is in a hub repository, None where there is none.

    >>> known_repository("laion/clap-htsat-fused").name
    'clap-fused'
    """
    return next((one for one in KNOWN if one.kind == "hub" and one.source == repo_id), None)


def similar_name(name: str, packaged: list[str]) -> str:
    """` (did you mean 'clap-music'?)` where a known or packaged name is close, else empty.

    >>> similar_name("clap-musik", [])
    " (did you mean 'clap-music'?)"
    """
    names = [*packaged, *(one.name for one in KNOWN)]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    return f" (did you mean {close[0]!r}?)" if close else ""
