import pytest

from repvit_sam.distill.recipe import EncoderStage, PromptsStage
from repvit_sam.distill.run.figures import merit, print_figures

ENCODER, PROMPTS = EncoderStage(kind="encoder", steps=1), PromptsStage(kind="prompts", steps=1)


@pytest.mark.parametrize(
    ("figures", "stage", "expected"),
    [
        ({"loss": 1.0, "box": 0.5, "point": 0.25, "held_out": 0.4}, ENCODER, 0.75),
        ({"loss": 1.0, "held_out": 0.4}, ENCODER, -0.4),
        ({"loss": 1.0, "held_out": 0.4}, PROMPTS, float("inf")),  # not what this stage lowers: keep the last
        ({"loss": 1.0}, ENCODER, float("inf")),
    ],
)
def test_true_masks_decide_then_the_held_out_error_then_the_last(figures, stage, expected):
    assert merit(figures, stage) == expected


def test_the_table_has_the_columns_that_were_measured(capsys):
    print_figures([{"stage": "teacher", "images": 0, "box": 0.7}, {"stage": "1 encoder", "images": 8, "loss": 1.5}])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("teacher", "1 encoder", "0.700", "1.500", "box", "loss"))
    assert "point" not in shown
