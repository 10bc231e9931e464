"""Values that JSON can hold: NaN and infinities become null, paths become texts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import PurePath


def finite(value: object) -> object:
    """The value; None in place of NaN and infinities, which JSON cannot hold."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain(value: object) -> object:
    """Dicts, lists and scalars only; NaN and infinities become None, paths texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else finite(value)


def to_json(value: object) -> str:
    """JSON text of a result, indented; NaN and infinities become null."""
    return json.dumps(plain(value), ensure_ascii=False, indent=2)
