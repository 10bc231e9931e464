"""What a caption asks for: one sound event, several, or several in an order."""

from __future__ import annotations

import re
from typing import Literal

CaptionType = Literal["one event", "several events", "ordered events"]
CAPTION_TYPES: tuple[CaptionType, ...] = ("one event", "several events", "ordered events")

_ORDER = re.compile(
    r"\b(then|afterwards?|after(?! all)|before|followed|follows|following|subsequently|finally|"
    r"later|next|until|once|starts?|begins?|ends?)\b"
)
_SEVERAL = re.compile(
    r"\b(and|while|with|as|together|along|accompanied|over|amid|alongside|plus|during|"
    r"in the (?:background|distance|foreground))\b|[,;&+]"
)


def caption_type(text: str) -> CaptionType:
    """Told by the caption's words: those of order first, then those that join events.

    A rule of thumb for English captions, so that a leaderboard can be read by kind; `a man and a
    woman talk` counts as several.

    >>> [caption_type(t) for t in ("A dog barks", "Rain and wind", "A dog barks, then rain")]
    ['one event', 'several events', 'ordered events']
    """
    lowered = text.casefold()
    if _ORDER.search(lowered):
        return "ordered events"
    return "several events" if _SEVERAL.search(lowered) else "one event"
