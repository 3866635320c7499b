import re

import numpy as np
import pytest
from PIL import Image

from repvit_sam.eval.datasets.davis import labels_of, masks_of, read_davis, read_labels, write_labels

from ..made_up_video import PALETTE, STEPS, frame, write_davis

FIRST = "cats-over-coffee"


@pytest.fixture
def davis(tmp_path):
    return write_davis(tmp_path / "DAVIS", frames=3, height=48)


def photos(davis, name=FIRST):
    return davis / "JPEGImages" / "480p" / name


def annotations(davis, name=FIRST):
    return davis / "Annotations" / "480p" / name


def test_sequences_come_in_the_order_of_the_list_with_their_frames_and_objects(davis):
    (davis / "ImageSets" / "2017" / "val.txt").write_text("cups-over-rocket\ncats-over-coffee\n\n")
    sequences = read_davis(davis)
    assert [sequence.name for sequence in sequences] == ["cups-over-rocket", FIRST]
    assert [path.name for path in sequences[0].frames] == ["00000.jpg", "00001.jpg", "00002.jpg"]
    assert sequences[0].object_ids == (1, 2)
    assert [sequence.name for sequence in read_davis(davis, limit=1)] == ["cups-over-rocket"]


def test_there_is_one_mask_per_object(davis):
    _, labels = frame("coffee", ["chelsea", "astronaut"], 48, 85, 1 / STEPS)
    np.testing.assert_array_equal(read_davis(davis)[0].masks(1), [labels == 1, labels == 2])


def test_pixels_not_annotated_are_background(davis):
    path = annotations(davis) / "00000.png"
    labels = np.array(Image.open(path))
    labels[:4] = 255
    Image.fromarray(labels).save(path)
    assert read_davis(davis)[0].object_ids == (1, 2)
    assert not read_labels(path)[:4].any()


def test_an_object_that_appears_later_is_not_evaluated(davis):
    labels = np.array(Image.open(annotations(davis) / "00002.png"))
    labels[:4] = 3
    Image.fromarray(labels).save(annotations(davis) / "00002.png")
    assert len(read_davis(davis)[0].masks(2)) == 2


def test_labels_written_are_indexed_in_the_colours_of_the_annotation(davis, tmp_path):
    original = annotations(davis) / "00001.png"
    labels = read_labels(original)
    write_labels(tmp_path / "new" / "00001.png", labels_of(masks_of(labels, (1, 2)), (1, 2)), like=original)
    written = Image.open(tmp_path / "new" / "00001.png")
    assert (written.mode, written.getpalette()[: len(PALETTE)]) == ("P", PALETTE)
    np.testing.assert_array_equal(np.array(written), labels)


def test_object_ids_with_gaps_are_kept():
    labels = np.array([[0, 2, 2], [5, 0, 2]], np.uint8)
    np.testing.assert_array_equal(labels_of(masks_of(labels, (2, 5)), (2, 5)), labels)


def lose_a_frame(davis):
    (photos(davis) / "00001.jpg").unlink()


def lose_an_annotation(davis):
    (annotations(davis) / "00001.png").unlink()


def name_what_is_not_there(davis):
    (davis / "ImageSets" / "2017" / "val.txt").write_text(f"{FIRST}\nbear\n")


def name_one_twice(davis):
    (davis / "ImageSets" / "2017" / "val.txt").write_text(f"{FIRST}\n{FIRST}\n")


def lose_the_list(davis):
    (davis / "ImageSets" / "2017" / "val.txt").unlink()


def leave_two_frames(davis):
    for path in (photos(davis) / "00001.jpg", annotations(davis) / "00001.png"):
        path.unlink()


def resize_an_annotation(davis):
    Image.new("P", (80, 48)).save(annotations(davis) / "00002.png")


def colour_an_annotation(davis):
    Image.new("RGB", (85, 48)).save(annotations(davis) / "00002.png")


def annotate_as_in_2016(davis):
    Image.fromarray(np.full((48, 85), 255, np.uint8)).save(annotations(davis) / "00000.png")


def damage_a_frame(davis):
    (photos(davis) / "00002.jpg").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lose_a_frame, "3 annotations: .*00001.jpg is missing"),
        (lose_an_annotation, "2 annotations: .*00001.png is missing"),
        (name_what_is_not_there, "lists sequences without a folder: .*bear is missing"),
        (name_one_twice, "each once"),
        (lose_the_list, "no DAVIS-2017 folder: .*val.txt is missing"),
        (leave_two_frames, "2 frames and 2 annotations; 3 are needed"),
        (resize_an_annotation, "00002.png is 80x48, the first frame of cats-over-coffee is 85x48"),
        (colour_an_annotation, "an indexed PNG of object ids, got mode RGB"),
        (annotate_as_in_2016, "has no object"),
        (damage_a_frame, "00002.jpg is damaged or not an image"),
    ],
)
def test_a_folder_that_cannot_be_evaluated_says_why(davis, harm, words):
    harm(davis)
    with pytest.raises(ValueError, match=words) as refusal:
        read_davis(davis)
    assert not re.search(r"\n", str(refusal.value))
