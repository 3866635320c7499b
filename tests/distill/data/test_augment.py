import numpy as np
import torch

from repvit_sam.distill.data.augment import Frame, View, apply_views, cut_windows, draw_view, draw_windows
from repvit_sam.distill.recipe import AugmentConfig


def ramp(side=64, content=(48, 40)):
    """A canvas whose first channel is x, second y, third 1, on its content."""
    y, x = torch.meshgrid(torch.arange(side).float(), torch.arange(side).float(), indexing="ij")
    canvas = torch.stack([x, y, torch.ones_like(x)])[None]
    canvas[..., content[0] :, :] = 0
    canvas[..., :, content[1] :] = 0
    return canvas, torch.tensor([content])


def test_the_plain_view_is_the_canvas():
    canvas, content = ramp()
    shown, frame = apply_views(canvas, content, [View()])
    torch.testing.assert_close(shown, canvas, atol=1e-4, rtol=0)
    assert frame.content_hw.tolist() == [[48, 40]]


def test_a_mirrored_view_is_the_photo_flipped_in_its_place():
    canvas, content = ramp()
    shown, _ = apply_views(canvas, content, [View(mirror=True)])
    torch.testing.assert_close(shown[..., :40], canvas[..., :40].flip(-1), atol=1e-4, rtol=0)
    assert (shown[..., 40:] == 0).all()


def test_zooming_in_shows_the_part_asked_for_and_zooming_out_all_of_it():
    canvas, content = ramp(content=(64, 64))
    near, frame = apply_views(canvas, content, [View(zoom=2.0, offset_yx=(1.0, 0.0))])
    assert frame.content_hw.tolist() == [[64, 64]]
    torch.testing.assert_close(near[0, 1, 10, 10], torch.tensor(32 + 10.5 / 2 - 0.5), atol=1e-3, rtol=0)
    torch.testing.assert_close(near[0, 0, 10, 10], torch.tensor(10.5 / 2 - 0.5), atol=1e-3, rtol=0)
    far, frame = apply_views(canvas, content, [View(zoom=0.5)])
    assert frame.content_hw.tolist() == [[32, 32]]
    assert (far[..., 32:, :] == 0).all()
    torch.testing.assert_close(far[0, 0, 10, 10], torch.tensor(20.5), atol=1e-3, rtol=0)


def test_masks_move_with_the_photo():
    _, content = ramp(content=(64, 64))
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 2:6, 1:4] = 1
    frame = Frame.of([View(mirror=True)], content, 64)
    moved = frame.sample(mask, 16, 4, "nearest")
    torch.testing.assert_close(moved, mask.flip(-1))


def test_colour_changes_the_photo_but_not_the_padding():
    canvas, content = ramp()
    shown, _ = apply_views(canvas, content, [View(contrast=2.0, brightness=(1.0, 0.0, 0.0))])
    assert torch.allclose(shown[0, 0, 5, 5], torch.tensor(11.0), atol=1e-3)
    assert (shown[..., 48:, :] == 0).all()


def test_drawn_views_stay_in_the_limits_that_the_recipe_sets():
    augment = AugmentConfig(mirror=True, zoom=(0.5, 2.0), zoom_share=0.5, colour=0.1)
    views = [draw_view(augment, np.random.default_rng(seed)) for seed in range(200)]
    assert {view.mirror for view in views} == {True, False}
    assert 0.5 <= min(view.zoom for view in views) < 0.7 < 1.5 < max(view.zoom for view in views) <= 2
    assert 60 < sum(view.zoom == 1 for view in views) < 140
    assert all(0.9 <= view.contrast <= 1.1 for view in views)
    assert draw_view(AugmentConfig(), np.random.default_rng(0)).zoom == 1


def test_windows_lie_on_the_photo_and_cut_canvas_and_embedding_alike():
    corners = draw_windows((200, 512), 512, 256, 50, np.random.default_rng(0))
    assert {row for row, _ in corners} == {0}  # the photo is lower than a window
    assert max(column for _, column in corners) == 16
    canvas = torch.arange(512).float().expand(1, 1, 512, 512)
    embedding = canvas[..., ::16, ::16]
    some = [corners[:3]]
    windows, targets = cut_windows(canvas, some, 256, 1), cut_windows(embedding, some, 256, 16)
    assert windows.shape == (3, 1, 256, 256)
    torch.testing.assert_close(windows[..., ::16, ::16], targets)
