"""Videos made by formula, in a DAVIS-2017 folder: cut-outs of the bundled photos move over another photo and overlap.

python tests/eval/made_up_video.py DIR --frames 20 --height 480
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

PHOTOS = Path(__file__).parents[2] / "repvit_sam" / "example_photos"
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]  # DAVIS's first colours
STEPS = 19  # frames from the first to the last position
SEQUENCES = {
    "cats-over-coffee": ("coffee", "chelsea", "astronaut"),
    "cups-over-rocket": ("rocket", "coffee", "chelsea"),
}


def blob(height, width, x, y, radius, turn):
    """(H, W) bool: a disc with three lobes, turned by ``turn`` radians."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    angle = np.arctan2(rows - y, columns - x)
    return np.hypot(rows - y, columns - x) < radius * (1 + 0.25 * np.sin(3 * (angle + turn)))


def photo(name, height, width):
    return cv2.resize(np.array(Image.open(PHOTOS / f"{name}.jpg").convert("RGB")), (width, height))


def frame(background, cut_outs, height, width, share):
    """Frame and labels at ``share`` (0 to 1) of the way: object 1 moves right, object 2 left and partly behind it."""
    picture, labels = photo(background, height, width), np.zeros((height, width), np.uint8)
    positions = {2: (0.75 - 0.2 * share, 0.55, 0.16 - 0.03 * share), 1: (0.25 + 0.2 * share, 0.4 + 0.1 * share, 0.2)}
    for number, (x, y, radius) in positions.items():
        mask = blob(height, width, x * width, y * height, radius * height, 1.5 * share + number)
        shift = np.float32([[1, 0, (x - 0.5) * width], [0, 1, (y - 0.5) * height]])  # the texture moves with the object
        texture = cv2.warpAffine(photo(cut_outs[number - 1], height, width), shift, (width, height))
        picture[mask], labels[mask] = texture[mask], number
    return picture, labels


def write_davis(folder, frames=4, height=96, sequences=SEQUENCES):
    width = round(height * 16 / 9)
    for name, (background, *cut_outs) in sequences.items():
        for part in ("JPEGImages", "Annotations"):
            (folder / part / "480p" / name).mkdir(parents=True)
        for index in range(frames):
            picture, labels = frame(background, cut_outs, height, width, index / STEPS)
            Image.fromarray(picture).save(folder / "JPEGImages" / "480p" / name / f"{index:05d}.jpg", quality=92)
            indexed = Image.fromarray(labels)
            indexed.putpalette(PALETTE)
            indexed.save(folder / "Annotations" / "480p" / name / f"{index:05d}.png")
    (folder / "ImageSets" / "2017").mkdir(parents=True)
    (folder / "ImageSets" / "2017" / "val.txt").write_text("\n".join(sequences) + "\n")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--height", type=int, default=480)
    words = parser.parse_args()
    write_davis(words.folder, words.frames, words.height)
    print(json.dumps({"sequences": list(SEQUENCES), "frames": words.frames}))
