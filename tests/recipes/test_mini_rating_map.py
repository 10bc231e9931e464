"""The packaged models' map from score to rating, and the measure of how often it holds."""

import json
import sys
from pathlib import Path

import pytest

from humanclap.records import Target

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """The folders of the recipe and of the benchmark on the path, as the scripts have them."""
    folders = [str(ROOT / "recipes" / "mini"), str(ROOT / "benchmarks")]
    sys.path[:0] = folders
    yield
    for folder in folders:
        sys.path.remove(folder)


def rated(number, text, mos, kind="rating"):
    names = {"audio": f"{number}.wav", "text": text}
    return Target(**names, target=mos / 10, mos=mos, n=4, standard_error=1.0, kind=kind)


def test_the_rating_map_says_what_it_is_fitted_on_and_covers():
    from rating_map import calibration, variance_of

    targets = [
        rated(i, f"sound {i}", 8.0) if own else rated(i, f"sound {i + 1}", 1.0, "anchor")
        for i in range(12)
        for own in (True, False)
    ]
    scores = [0.5 + 0.01 * i if i % 2 == 0 else 0.01 * i for i in range(24)]
    assert variance_of(targets) == 4.0  # 4 ratings, standard error 1
    found = calibration(scores, targets, 4.0)
    assert found.covers == ("natural",)
    assert found.n == 24
    assert found.fitted_on.startswith("RELATE validation: 12 natural recordings, 12 pairs with")
    assert found.guess  # each anchor's caption is the next clip's own: one group


def test_the_rated_pairs_are_relates_screened_ones_and_every_anchor(shared):
    from rating_map import FOLDER, rated_pairs

    if not (shared / FOLDER / "ratings_REL.csv").is_file():
        pytest.skip("RELATE validation is not in shared/data")
    targets = rated_pairs(shared)
    assert len({target.audio for target in targets}) == 53
    assert sorted({target.kind for target in targets}) == ["anchor", "rating"]
    assert (len(targets), sum(target.kind == "anchor" for target in targets)) == (112, 26)


def test_a_clip_is_predicted_without_itself_and_without_its_captions():
    from rating_coverage import one_clip_out

    targets = [rated(i, f"sound {i}", 10.0 * (i % 2)) for i in range(30)]
    targets.append(rated(30, "sound 0", 0.0))
    scores = [0.1 * (i % 2) for i in range(31)]
    before = one_clip_out(scores, targets, 4.0)
    changed = [*targets]
    changed[0], changed[30] = rated(0, "sound 0", 10.0), rated(30, "sound 0", 10.0)
    after = one_clip_out(scores, changed, 4.0)
    assert (after[0][0], after[1][0]) == (before[0][0], before[1][0])
    assert after[0][2] != before[0][2]


def test_the_fitted_map_goes_into_the_folder_and_leaves_the_rest(shared, tmp_path, monkeypatch):
    import torch
    from rating_map import FOLDER, main

    from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from humanclap.clap.checkpoint_files import MANIFEST
    from humanclap.clap.mini import MiniCLAP, MiniConfig

    if not (shared / FOLDER / "audio").is_dir():
        pytest.skip("RELATE validation is not in shared/data")
    torch.manual_seed(3)
    model, folder = MiniCLAP(MiniConfig.tiny()), tmp_path / "model"
    save_checkpoint(Checkpoint(model, None, {"seed": 3}), folder)
    before = json.loads((folder / MANIFEST).read_text())
    command = ["rating_map.py", "--shared", str(shared), "--output", str(folder), "--model"]
    monkeypatch.setattr(sys, "argv", [*command, "another"])
    with pytest.raises(SystemExit, match="not another"):
        main()
    monkeypatch.setattr(sys, "argv", [*command, model.name])
    main()
    after = json.loads((folder / MANIFEST).read_text())
    assert {**after, "calibration": None} == before
    fitted = load_checkpoint(folder).calibration
    assert fitted is not None
    assert (fitted.n, fitted.covers, fitted.guess) == (112, ("natural",), False)
    assert 0 <= fitted.ratings[0] <= fitted.ratings[-1] <= 10
    assert min(fitted.errors) > 1
