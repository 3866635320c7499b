import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from repvit_sam.masks import coco_bbox
from repvit_sam.rle import decode_rle

from .conftest import COFFEE, run

COMMAND = [
    sys.executable,
    "-m",
    "repvit_sam.cli",
    "segment",
    COFFEE,
    "--point",
    "300,200",
    "--checkpoint",
    "small",
    "--engine",
    "torch",
    "--out",
]


def test_segment_writes_mask_cutout_overlay_and_json(tmp_path):
    words = ("--box", "170,12,425,282", "--point", "300,200", "--point", "20,20,0", "--engine", "torch")
    result = run("segment", COFFEE, *words, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    assert "mask 1:" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cutout.png", "mask.png", "masks.json", "overlay.png"]
    mask = np.asarray(Image.open(tmp_path / "mask.png")) > 0
    cutout = np.asarray(Image.open(tmp_path / "cutout.png"))
    assert mask.shape == (400, 600)
    np.testing.assert_array_equal(cutout[..., 3] > 0, mask)
    assert not cutout[~mask].any()
    assert np.asarray(Image.open(tmp_path / "overlay.png")).shape == (400, 600, 3)
    content = json.loads((tmp_path / "masks.json").read_text())
    (record,) = content["masks"]
    np.testing.assert_array_equal(decode_rle(record["segmentation"]), mask)
    assert record["area"] == np.count_nonzero(mask)
    assert record["bbox"] == coco_bbox(mask)
    assert record["prompt"] == {"points": [[300, 200, 1], [20, 20, 0]], "box": [170, 12, 425, 282]}
    assert 0 < record["predicted_iou"] <= 1.1


@pytest.mark.slow
def test_nothing_but_results_is_written_where_no_terminal_is(light, tmp_path):
    result = subprocess.run([*COMMAND, str(tmp_path), *light], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1


def test_several_boxes_are_several_objects_and_every_mask_gives_three(light, tmp_path):
    result = run(
        "segment", COFFEE, "--box", "170,12,425,282", "--box", "100,50,500,390", *light, "--out", tmp_path / "boxes"
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "boxes" / "mask_2.png").exists()
    result = run("segment", COFFEE, "--point", "300,200", "--every-mask", *light, "--out", tmp_path / "three")
    assert result.stdout.count("\n") == 3


def test_refine_gives_other_masks_of_the_same_objects(light, tmp_path):
    words = ("segment", COFFEE, "--box", "395,95,575,145", "--box", "170,12,300,100", *light, "--out")
    masks = []
    for name, more in (("first", ()), ("refined", ("--refine",))):
        result = run(*words, tmp_path / name, *more)
        assert result.exit_code == 0, result.output
        masks.append(np.stack([np.asarray(Image.open(tmp_path / name / f"mask_{n}.png")) > 0 for n in (1, 2)]))
    first, refined = masks
    assert (first != refined).any((1, 2)).all()
    assert (first & refined).any((1, 2)).all()


def test_a_folder_gets_a_sub_folder_a_photo_and_a_bad_photo_does_not_stop_the_rest(light, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "a.jpg", "b.png"):
        Image.effect_noise((60, 40), 90).save(photos / name)
    (photos / "c.jpg").write_text("no picture")
    Image.new("RGB", (4, 4)).save(photos / "d.png")  # the point lies far outside
    result = run("segment", photos, "--point", "30,20", *light, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "c.jpg is not a picture" in result.stderr
    assert "d.png: point_coords must be in pixels of the photo, 4 wide" in result.stderr
    assert result.stderr.index("c.jpg is not") < result.stderr.index("d.png: point_coords")
    assert "2 of the photos failed" in result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "a.png", "b"]


def test_a_folder_gives_in_its_order_what_one_photo_after_the_other_gives(light, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    names = ("a", "b", "c", "d")
    for number, name in enumerate(names):
        Image.effect_noise((60 + 300 * (number == 1), 40), 90).save(photos / f"{name}.png")  # b takes longest to write
    words = ("--point", "30,20", *light, "--out")
    lines = run("segment", photos, *words, tmp_path / "all").stdout.splitlines()
    assert [line.split(" mask ")[0] for line in lines] == [str(photos / f"{name}.png") for name in names]
    for name in names[:2]:
        assert run("segment", photos / f"{name}.png", *words, tmp_path / name).exit_code == 0
        for file in ("masks.json", "overlay.png", "mask.png"):
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "all" / name / file).read_bytes()


def test_everything_writes_overlay_and_json(light, tmp_path):
    loose = ("--points-per-side", 4, "--pred-iou", 0.7, "--stability", 0.8)
    result = run("everything", COFFEE, *loose, *light, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    records = json.loads((tmp_path / "masks.json").read_text())["masks"]
    assert len(records) > 1
    assert f"{len(records)} masks" in result.stdout
    for record in records:
        mask = decode_rle(record["segmentation"])
        assert mask.shape == (400, 600)
        assert record["bbox"] == coco_bbox(mask)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_results_reach_a_pipe_while_the_bar_is_on_the_terminal(light, tmp_path):
    import pty

    terminal, stderr = pty.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=lambda: shown.extend(iter(lambda: os.read(terminal, 4096), b"")), daemon=True)
    reader.start()  # a full terminal would hold the command up
    command = [*COMMAND, str(tmp_path), *light]
    environment = {**os.environ, "TERM": "xterm"}
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True, env=environment)
    assert b"coffee" in b"".join(shown)  # the bar
    assert "mask 1:" in result.stdout
    assert result.stdout.count("\n") == 1
