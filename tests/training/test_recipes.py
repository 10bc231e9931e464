from dataclasses import fields
from pathlib import Path

import pytest

from humanclap.training.settings import TrainingSettings, read_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["human-tuning", "projections-only", "clap-sce"])
def test_a_shipped_recipe_is_read(name):
    assert read_settings(ROOT / "recipes" / f"{name}.toml").terms


def test_every_setting_stands_in_the_documentation():
    text = (ROOT / "docs" / "training.md").read_text()
    for field in fields(TrainingSettings):
        assert f"`{field.name}`" in text, field.name
