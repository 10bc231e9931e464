"""The identity of a score: what must be equal before two numbers may be compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from humanclap.errors import InputError, SignatureMismatchError


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How a score was made, written as one line (after sacreBLEU, Post 2018).

    fingerprint: says what the weights are. revision: the commit on the hub where they can be found
    again; empty where the model came from elsewhere. engine: what ran the audio tower; torch is not
    written.

    >>> str(Signature(version="0.1.0", model="mini", fingerprint="3f9a1c2d", sample_rate=32000,
    ...               window_s=10, hop_s=10, fill="repeat", precision="fp32"))
    'humanclap:0.1.0|model:mini@3f9a1c2d|rate:32000|window:10s|hop:10s|fill:repeat|pool:mean|precision:fp32'
    """

    version: str
    model: str
    fingerprint: str
    sample_rate: int
    window_s: float
    hop_s: float
    fill: str
    pool: str = "mean"
    precision: str = "fp32"
    revision: str = ""
    engine: str = "torch"

    def __str__(self) -> str:
        return "|".join(
            (
                f"humanclap:{self.version}",
                f"model:{self.model}@{self.fingerprint}",
                *([f"{_REVISION}{self.revision}"] if self.revision else []),
                f"rate:{self.sample_rate}",
                f"window:{self.window_s:g}s",
                f"hop:{self.hop_s:g}s",
                f"fill:{self.fill}",
                f"pool:{self.pool}",
                f"precision:{self.precision}",
                *([f"engine:{self.engine}"] if self.engine != "torch" else []),
            )
        )

    @classmethod
    def parse(cls, text: str) -> Signature:
        """Read what `str` wrote; raises `InputError` on anything else."""
        try:
            fields = dict(part.split(":", 1) for part in text.split("|"))
            model, _, fingerprint = fields["model"].rpartition("@")
            return cls(
                version=fields["humanclap"],
                model=model,
                fingerprint=fingerprint,
                sample_rate=int(fields["rate"]),
                window_s=float(fields["window"].removesuffix("s")),
                hop_s=float(fields["hop"].removesuffix("s")),
                fill=fields["fill"],
                pool=fields["pool"],
                precision=fields["precision"],
                revision=fields.get("revision", ""),
                engine=fields.get("engine", "torch"),
            )
        except (KeyError, ValueError) as error:
            raise InputError(f"not a humanclap signature: {text!r}") from error


_REVISION = "revision:"


def comparable(signature: str) -> str:
    """A signature without the revision, which may differ between scores that can be compared.

    >>> comparable("model:laion/clap@3f9a1c2d|revision:0123456789abcdef|rate:48000")
    'model:laion/clap@3f9a1c2d|rate:48000'
    """
    return "|".join(part for part in signature.split("|") if not part.startswith(_REVISION))


def common_signature(signatures: Iterable[str | None], *, where: str) -> str | None:
    """The one signature that all scores share; None where no score has one.

    Where only revisions differ, the result has none (`comparable`). Raises
    `SignatureMismatchError`, which names two that differ.
    """
    distinct = sorted({signature for signature in signatures if signature})
    if len(distinct) > 1:
        distinct = sorted(set(map(comparable, distinct)))
    if len(distinct) > 1:
        raise SignatureMismatchError(
            f"{where}: scores made in {len(distinct)} ways are mixed, for example\n"
            f"  {distinct[0]}\n  {distinct[1]}\nscore them again with one model and setting"
        )
    return distinct[0] if distinct else None
