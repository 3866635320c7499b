import pytest

from repvit_sam.eval.runner.config import RunConfig
from repvit_sam.jobs.chosen_model import ChosenModel


def test_pictures_need_a_folder(tmp_path):
    model = ChosenModel("small")
    assert RunConfig(model, out=tmp_path, save_pictures=True).save_pictures
    with pytest.raises(ValueError, match="--save-figures draws into OUT/figures: give --out DIR"):
        RunConfig(model, save_pictures=True)
