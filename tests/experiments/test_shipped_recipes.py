from pathlib import Path

import pytest

from humanclap.experiments.recipe import read_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


@pytest.mark.parametrize(
    "name",
    [
        *("human-clap-relate", "xacle", "data-efficiency", "esc-objectives", "esc-efficiency"),
        "ratings-and-choices",
    ],
)
def test_a_shipped_recipe_is_read(name):
    recipe = read_recipe(RECIPES / f"{name}.toml")
    assert recipe.baseline in recipe.objectives


def test_the_grid_on_relate_is_every_sum_of_the_papers_terms():
    recipe = read_recipe(RECIPES / "human-clap-relate.toml")
    found = {frozenset(one.terms) for one in recipe.objectives.values()} - {frozenset({"sce"})}
    terms = ("wsce", "mse", "mae")
    every = {frozenset(t for t in terms if mask >> terms.index(t) & 1) for mask in range(1, 8)}
    assert found == every
