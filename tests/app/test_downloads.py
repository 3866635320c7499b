"""Each kind of download, read back and compared with the mask."""

import io
import json
import re

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from repvit_sam.app.downloads import make_download
from repvit_sam.app.layer_masks import checked_mask
from repvit_sam.app.schemas import DownloadRequest, Layer, RequestError, Rle
from repvit_sam.rle import encode_rle


@pytest.fixture(scope="module")
def mask():
    """A ring, and a square far away: a hole and two parts."""
    yy, xx = np.mgrid[:400, :600]
    distance = np.hypot(yy - 180, xx - 300)
    return ((distance < 120) & (distance > 50)) | ((yy > 350) & (yy < 390) & (xx > 20) & (xx < 60))


def layer(mask, name="cup", colour="#ee7733"):
    return Layer(name=name, colour=colour, rle=Rle(**encode_rle(mask)))


def file_of(coffee, kind, *layers, full_size=False, feather=0):
    request = DownloadRequest(photo="token", kind=kind, layers=layers, full_size=full_size, feather=feather)
    return make_download(coffee, "my coffee.jpg", request)


def opened(file):
    return np.array(Image.open(io.BytesIO(file.data)))


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_a_cut_out_of_full_size_has_the_photo_where_the_mask_is(coffee, mask):
    file = file_of(coffee, "cutout", layer(mask), full_size=True)
    picture = opened(file)
    np.testing.assert_array_equal(picture[..., 3] > 0, mask)
    np.testing.assert_array_equal(picture[mask][:, :3], coffee[mask])
    assert not picture[~mask].any()
    assert (file.name, file.mime) == ("my coffee_cutout.png", "image/png")


def test_a_cropped_cut_out_is_as_large_as_the_object(coffee, mask):
    picture = opened(file_of(coffee, "cutout", layer(mask)))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert picture.shape[:2] == (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1)


def test_a_feathered_edge_fades_over_its_pixels_and_half_way_at_the_edge(coffee):
    square = np.zeros((400, 600), bool)
    square[100:300, 100:300] = True
    alpha = opened(file_of(coffee, "cutout", layer(square), full_size=True, feather=8))[200, :, 3].astype(int)
    assert alpha[90] < 10
    assert alpha[110] > 245
    assert alpha[99] + alpha[100] == pytest.approx(255, abs=6)


def test_the_mask_file_holds_all_selected_layers(coffee, mask):
    other = np.zeros_like(mask)
    other[:30, :30] = True
    np.testing.assert_array_equal(opened(file_of(coffee, "mask", layer(mask), layer(other))) > 0, mask | other)


def test_the_overlay_is_tinted_in_the_layers_colour_and_untouched_elsewhere(coffee, mask):
    picture = opened(file_of(coffee, "overlay", layer(mask, colour="#ff0000")))
    inside = cv2.erode(mask.astype(np.uint8), np.ones((9, 9))) > 0
    outside = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) == 0
    assert (picture[inside][:, 0] >= coffee[inside][:, 0]).all()
    np.testing.assert_array_equal(picture[outside], coffee[outside])


def test_later_layers_lie_on_top_in_the_overlay(coffee, mask):
    everywhere = np.ones_like(mask)
    red_below = opened(file_of(coffee, "overlay", layer(everywhere, colour="#ff0000"), layer(mask, colour="#0000ff")))
    red_above = opened(file_of(coffee, "overlay", layer(mask, colour="#0000ff"), layer(everywhere, colour="#ff0000")))
    assert (red_above[180, 220].astype(int) - red_below[180, 220])[0] > 50


def test_a_line_of_one_pixel_has_an_outline_with_an_area(coffee):
    line = np.zeros((400, 600), bool)
    line[10, 20:200] = True
    text = file_of(coffee, "svg", layer(line)).data.decode()
    (path,) = re.findall(r"M([^Z]+)Z", text)
    assert cv2.contourArea(np.array([[float(n) for n in xy.split(",")] for xy in path.split("L")], np.float32)) > 50


def test_coco_json_is_read_by_pycocotools(coffee, mask, tmp_path):
    other = np.zeros_like(mask)
    other[:30, :40] = True
    file = file_of(coffee, "coco", layer(mask), layer(other, "corner"), layer(other, "cup"))
    path = tmp_path / "coco.json"
    path.write_bytes(file.data)
    coco = COCO(path)
    assert [coco.cats[c]["name"] for c in sorted(coco.cats)] == ["cup", "corner"]
    np.testing.assert_array_equal(coco.annToMask(coco.anns[1]) > 0, mask)
    assert coco.anns[2]["area"] == 1200
    assert coco.anns[1]["bbox"] == coco_mask.toBbox(coco.anns[1]["segmentation"]).tolist()
    assert coco.imgs[1]["file_name"] == "my coffee.jpg"
    assert coco.anns[3]["category_id"] == 1


def test_svg_outlines_drawn_again_are_the_mask(coffee, mask):
    text = file_of(coffee, "svg", layer(mask, name='a "cup" & <b>')).data.decode()
    assert "&lt;b&gt;" in text
    scale = 8
    canvas = np.zeros((400 * scale, 600 * scale), np.uint8)
    paths = re.findall(r"M([^Z]+)Z", text)
    assert len(paths) == 3
    corners = [
        (np.array([[float(n) for n in xy.split(",")] for xy in path.split("L")]) * scale).round().astype(np.int32)
        for path in paths
    ]
    cv2.fillPoly(canvas, corners, 1)  # even-odd, as the file says
    drawn = cv2.resize(canvas.astype(np.float32), (600, 400), interpolation=cv2.INTER_AREA) > 0.5
    assert iou(drawn, mask) >= 0.99


@pytest.mark.parametrize(
    "rle",
    [
        {"size": (400, 600), "counts": "0"},  # ends early: pycocotools would show unset memory
        {"size": (10, 10), "counts": encode_rle(np.ones((10, 10), bool))["counts"]},
        {"size": (400, 600), "counts": "\x00\x7f"},
        {"size": (400, 600), "counts": "ooooooooooooooo"},
        {"size": (400, 600), "counts": ""},
        {"size": (400, 600), "counts": "0" * 1_000_000},  # more runs than pixels: refused before they are all read
    ],
)
def test_masks_that_are_none_of_this_photo_are_refused(rle):
    with pytest.raises(RequestError, match="400 x 600"):
        checked_mask(Rle(**rle), (400, 600))


def test_a_good_mask_passes_the_check(mask):
    np.testing.assert_array_equal(checked_mask(Rle(**encode_rle(mask)), (400, 600)), mask)
    assert json.loads(json.dumps(encode_rle(mask)))["counts"]
    assert coco_mask.area({**encode_rle(mask)}) == mask.sum()
