import pytest

from repvit_sam.distill.recipe import RecipeError
from repvit_sam.distill.run.checkpointing import RunFolder, TrainerState, without_folders


def begun(path, recipe):
    folder = RunFolder(path, recipe)
    folder.begin({"photos": 3})
    folder.save_state(TrainerState(stage=1, best=0.5), {})
    return folder


def test_a_run_continues_with_the_same_recipe_and_photos_alone(tmp_path, recipe_of):
    stage = {"kind": "encoder", "steps": 1}
    folder = begun(tmp_path / "run", recipe_of(stage))
    assert folder.load_state() == (TrainerState(stage=1, best=0.5), {})
    RunFolder(tmp_path / "run", recipe_of(stage, about="other words decide nothing")).begin({"photos": 3})
    with pytest.raises(RecipeError, match="holds a run of another recipe"):
        RunFolder(tmp_path / "run", recipe_of({**stage, "steps": 2}))
    with pytest.raises(RecipeError, match="the photos have changed"):
        RunFolder(tmp_path / "run", recipe_of(stage)).begin({"photos": 4})


def test_paths_are_cut_to_their_last_name():
    recipe = {"data": {"sources": ["/home/me/photos", "b"]}, "about": "either/or is no path", "seed": 0}
    assert without_folders(recipe) == {**recipe, "data": {"sources": ["photos", "b"]}}
