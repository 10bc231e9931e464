from itertools import combinations

import pytest

from humanclap.errors import SettingsError
from humanclap.training.settings import TERMS, TrainingSettings, read_settings


def test_every_sum_of_terms_is_an_objective():
    sums = ["+".join(c) for size in range(1, 4) for c in combinations(TERMS, size)]
    assert len(sums) == 11 + 55 + 165
    for objective in sums:
        assert "+".join(TrainingSettings(objective=objective).terms) == objective


def test_a_file_sets_and_the_command_line_overrides(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('objective = "wsce + mse"\nlearning_rate = 1\nseed = 3\n')
    settings = read_settings(recipe, {"seed": 4, "epochs": 2})
    assert settings.terms == ("wsce", "mse")
    assert (settings.learning_rate, settings.seed, settings.epochs) == (1.0, 4, 2)
    assert settings.batch_size == TrainingSettings().batch_size


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rat = 1e-4", r"unknown setting 'learning_rat' \(did you mean learning_rate or"),
        ("colour = 1", "unknown setting 'colour'; known: objective, "),
        ("epochs = 2.5", "epochs is 2.5; expected a whole number such as 20"),
        ("epochs = true", "epochs is True; expected a whole number"),
        ("mask_same_clip = 1", "mask_same_clip is 1; expected true or false"),
        ('learning_rate = "fast"', "learning_rate is 'fast'; expected a number such as 0.0001"),
        ("learning_rate = nan", "learning_rate is nan; expected at least 0 and at most 1"),
        ("learning_rate = 0", "learning_rate is 0.0; expected more than 0"),
        ("learning_rate = 3.0", "learning_rate is 3.0; expected at least 0 and at most 1"),
        ("batch_size = 0", "batch_size is 0; expected at least 1"),
        ("warmup_fraction = 1.5", "warmup_fraction is 1.5; expected at least 0 and at most 1"),
        ("patience = -1", "patience is -1; expected at least 0"),
        ('objective = "wsce+msa"', r"'msa' is no term; .* \(did you mean .*mse"),
        ('objective = ""', "'' is no term"),
        ('objective = "mae+mae"', "has a term twice"),
        ('objective = "x*mae"', "coefficient 'x'; expected a number above 0"),
        ('objective = "-1*mae"', "coefficient '-1'; expected a number above 0"),
        ("rank_temperature = 0.0", "rank_temperature is 0.0; expected at least 1e-06"),
        ("ema_decay = 1.0", "ema_decay is 1.0; expected at least 0"),
        ('train_audio = "none"', "train_audio is 'none'; expected one of as train, frozen, def"),
        ('precision = "fp16"', "precision is 'fp16'; expected one of fp32, bf16"),
        ('train = "head"', "train is 'head'; expected one of default, all, projections"),
        ('rating_scale = "0-10"', "a rating scale is written low..high"),
        ('train_split = "validation"', "train_split and validation_split are both 'validation'"),
        ("epochs = ", "not TOML"),
        ("[loop]\nepochs = 3", "unknown setting 'loop'"),
    ],
)
def test_a_bad_settings_file_is_refused_with_its_name_and_key(tmp_path, line, message):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(line + "\n")
    with pytest.raises(SettingsError, match=message) as error:
        read_settings(recipe)
    assert str(error.value).startswith(str(recipe))


def test_a_missing_settings_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.toml: no such settings file"):
        read_settings(tmp_path / "none.toml")


def test_a_bad_override_does_not_blame_the_file(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("seed = 1\n")
    with pytest.raises(SettingsError, match=r"^epochs is 0; expected at least 1$"):
        read_settings(recipe, {"epochs": 0})
