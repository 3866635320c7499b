import pytest
import torch

from repvit_sam.distill.stages.losses import embedding_error, mask_bce, mask_dice, mask_focal, mask_iou

VALID = torch.ones(8, 8)


def half_mask():
    truth = torch.zeros(8, 8)
    truth[:, :4] = 1
    return truth


def test_the_embedding_error_sees_the_photo_alone():
    target = torch.randn(2, 256, 4, 4)
    predicted = target.clone()
    predicted[:, :, 2:] += 100  # padding
    weight = torch.zeros(2, 1, 4, 4)
    weight[:, :, :2] = 1
    assert embedding_error(predicted, target, weight).tolist() == [0, 0]
    assert embedding_error(target + 3, target, weight).tolist() == pytest.approx([9, 9])


def test_the_mean_of_a_batch_is_the_mean_of_its_parts():
    predicted, target = torch.randn(4, 256, 4, 4), torch.randn(4, 256, 4, 4)
    weight = (torch.rand(4, 1, 4, 4) > 0.5).float()
    whole = embedding_error(predicted, target, weight).mean()
    parts = [embedding_error(predicted[i : i + 2], target[i : i + 2], weight[i : i + 2]).mean() for i in (0, 2)]
    assert float(whole) == pytest.approx(float(sum(parts) / 2))


def test_a_perfect_mask_costs_nothing_and_its_opposite_much():
    truth = half_mask()
    right, wrong = (truth * 2 - 1) * 50, (1 - truth * 2) * 50
    for loss in (mask_bce, mask_focal, mask_dice):
        assert float(loss(right, truth, VALID)) == pytest.approx(0, abs=1e-3)
        assert float(loss(wrong, truth, VALID)) > 0.9


def test_what_lies_beyond_the_photo_does_not_count():
    truth, valid = half_mask(), VALID.clone()
    valid[4:] = 0
    logits = (truth * 2 - 1) * 50
    logits[4:] *= -1
    for loss in (mask_bce, mask_focal, mask_dice):
        assert float(loss(logits, truth, valid)) == pytest.approx(0, abs=1e-3)
    assert float(mask_iou(logits, truth, valid)) == 1
    assert float(mask_iou(logits, truth, VALID)) == pytest.approx(1 / 3)


def test_empty_masks_stay_finite():
    nothing = torch.zeros(8, 8)
    assert float(mask_dice(torch.full((8, 8), -50.0), nothing, VALID)) == pytest.approx(0, abs=1e-3)
    assert torch.isfinite(mask_bce(torch.zeros(8, 8), nothing, nothing))


def test_losses_keep_the_shape_of_tokens():
    logits = torch.randn(3, 4, 8, 8, requires_grad=True)
    truth = half_mask()[None, None]
    assert mask_bce(logits, truth, VALID).shape == mask_dice(logits, truth, VALID).shape == (3, 4)
    mask_focal(logits, truth, VALID).sum().backward()
    assert torch.isfinite(logits.grad).all()
