"""What the base model met of the validation pairs, and what the trained one will have met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from humanclap.audio.clip_codes import clip_codes
from humanclap.clap.known_pairs import Identities, identities_of
from humanclap.errors import AudioError, InputError, LeakageError, listed
from humanclap.records import UNKNOWN_MET, roles_met
from humanclap.training.data.dataset import HeardClip
from humanclap.training.data.splits import Splits

MAX_NAMED = 3
"""How many pairs a refusal names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetBefore:
    """Validation pairs, sides of choices among them, of which the base model met caption or clip.

    pairs: those, each with what was met (`records.Score.met`); unknown: pairs of which it cannot be
    told; total: validation pairs.
    """

    pairs: tuple[tuple[HeardClip, str], ...]
    unknown: int
    total: int

    def in_words(self) -> str:
        """A sentence for whoever reads the validation figures; nothing where nothing was met."""
        if not self.pairs:
            return ""
        return (
            f"the base model met {len(self.pairs)} of the {self.total} validation pairs before "
            f"({self.named()}): the validation figures, the choice of the epoch and the "
            "calibration are optimistic"
        )

    def named(self) -> str:
        """The first few pairs with what was met of them."""
        return listed(
            self.pairs,
            MAX_NAMED,
            show=lambda pair: f"{pair[0].audio} | {pair[0].text}: {pair[1]}",
            between="; ",
            rest="; and {} more",
        )

    def refuse(self) -> None:
        """Raise LeakageError where any pair was met."""
        if self.pairs:
            raise LeakageError(
                f"the base model met {len(self.pairs)} of the {self.total} validation pairs "
                f"before: {self.named()} (validate on other pairs, or start from another model)"
            )


def met_before(base: Identities, validation: Sequence[HeardClip]) -> MetBefore:
    """Look for the validation pairs among what `base` met; each distinct clip is decoded once.

    Where nothing is known of the base, nothing is decoded. Raises InputError naming row and file.
    """
    if not (base.captions or base.clips):
        unknown = 0 if base.complete else len(validation)
        return MetBefore(pairs=(), unknown=unknown, total=len(validation))
    by_path: dict[object, list[HeardClip]] = {}
    for item in validation:
        by_path.setdefault(item.path, []).append(item)
    said: list[tuple[HeardClip, str]] = []
    for items in by_path.values():
        try:
            codes = clip_codes(items[0].path)
        except AudioError as error:
            raise InputError(f"{items[0].where}: {error}") from error
        said += zip(items, base.met([item.text for item in items], codes), strict=True)
    return MetBefore(
        pairs=tuple((item, met) for item, met in said if roles_met(met)),
        unknown=sum(met == UNKNOWN_MET for _, met in said),
        total=len(validation),
    )


def identities_after(base: Identities, splits: Splits) -> Identities:
    """The base's, the training pairs (tuned) and the validation pairs (calibrated).

    Sides of choices are pairs like those that were rated.
    """
    tuned = identities_of((item.path, item.text, "tuned") for item in splits.trained)
    chosen = identities_of((item.path, item.text, "calibrated") for item in splits.validated)
    return base | tuned | chosen
