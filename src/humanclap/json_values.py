"""Values as JSON takes them."""

from __future__ import annotations

import math
from collections.abc import Mapping


def plain(value: object) -> object:
    """Dicts, lists and scalars only; NaN and infinities become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
