from PIL import Image

import repvit_sam
from repvit_sam.eval.datasets.saliency import find_pairs, read_mask


def test_a_photo_on_its_side_is_as_large_as_a_person_sees_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "images" / "a.jpg", exif=exif)
    Image.new("L", (20, 30), 255).save(tmp_path / "masks" / "a.png")
    pair = find_pairs(tmp_path / "images", tmp_path / "masks")["a"]
    assert repvit_sam.read_photo(pair.photo).shape[:2] == read_mask(pair.mask).shape
