from __future__ import annotations

import json
import math
from pathlib import PurePosixPath
from types import MappingProxyType

import numpy as np
import pytest

from humanclap.json_values import finite, plain, to_json


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_json_cannot_hold_becomes_null(value):
    assert finite(value) is None
    assert to_json({"a": [value]}) == '{\n  "a": [\n    null\n  ]\n}'


def test_values_stay_as_they_are_else():
    result = MappingProxyType({"n": 3, 2: (True, None, 0.1), "é": {"path": PurePosixPath("a/b")}})
    expected = {"n": 3, "2": [True, None, 0.1], "é": {"path": "a/b"}}
    assert plain(result) == expected
    assert json.loads(to_json(result)) == expected
    assert "é" in to_json(result)
