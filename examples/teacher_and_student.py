"""Ten prompts on the example photographs, the teacher's mask on the left and the student's on the right of each pair.

python examples/teacher_and_student.py docs/pictures/teacher_and_student.jpg tinyvit_sam small
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import repvit_sam
from repvit_sam.masks import best_mask
from repvit_sam.visualize import draw_prompts, overlay

PROMPTS = [  # photo, point or box (XYXY)
    ("coffee", [300, 200]),
    ("coffee", [170, 12, 425, 282]),
    ("coffee", [70, 300]),
    ("chelsea", [150, 120]),
    ("chelsea", [225, 160]),
    ("chelsea", [80, 20, 400, 299]),
    ("astronaut", [220, 130]),
    ("astronaut", [283, 335, 511, 511]),
    ("astronaut", [20, 8, 420, 511]),
    ("rocket", [320, 200]),
]
HEIGHT = 240


def encode(model: repvit_sam.SamModel, photos: dict[str, np.ndarray]) -> dict[str, repvit_sam.SamPredictor]:
    """A predictor for each photo."""
    predictors = {name: repvit_sam.SamPredictor(model) for name in photos}
    for name, photo in photos.items():
        predictors[name].set_image(photo)
    return predictors


def panel(predictor: repvit_sam.SamPredictor, photo: np.ndarray, prompt: list[int]) -> np.ndarray:
    """One model's mask for one prompt, on the photo that the predictor has set."""
    if len(prompt) == 4:
        masks, ious, _ = predictor.predict(box=prompt, multimask_output=False)
        drawn = {"boxes": [prompt]}
    else:
        masks, ious, _ = predictor.predict([prompt], [1])
        drawn = {"points": [(*prompt, 1)]}
    picture = Image.fromarray(draw_prompts(overlay(photo, [masks[best_mask(ious)]]), **drawn))
    return np.asarray(picture.resize((round(picture.width * HEIGHT / picture.height), HEIGHT)))


def main(result_path: str, teacher: str = "tinyvit_sam", student: str = "small") -> None:
    photos = {name: repvit_sam.read_photo(repvit_sam.example_photo(name)) for name, _ in PROMPTS}
    predictors = [encode(repvit_sam.load(checkpoint), photos) for checkpoint in (teacher, student)]
    pairs = [
        np.hstack([panel(predictor[name], photos[name], prompt) for predictor in predictors])
        for name, prompt in PROMPTS
    ]
    width = max(pair.shape[1] for pair in pairs)
    padded = [np.pad(p, ((4, 4), (4, width - p.shape[1] + 4), (0, 0)), constant_values=255) for p in pairs]
    rows = [np.hstack(padded[i : i + 2]) for i in range(0, len(padded), 2)]
    Path(result_path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(result_path, quality=85)
    print(result_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
