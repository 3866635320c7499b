"""The README's picture, or one like it: a point, boxes and everything, side by side.

python examples/picture_strip.py docs/pictures/strip.jpg
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import repvit_sam
from repvit_sam.masks import best_mask
from repvit_sam.visualize import draw_prompts, overlay


def main(result_path: str, points_per_side: str = "16") -> None:
    model = repvit_sam.load("tinyvit_sam")
    predictor = repvit_sam.SamPredictor(model)
    cat, astronaut, coffee = (
        repvit_sam.read_photo(repvit_sam.example_photo(n)) for n in ("chelsea", "astronaut", "coffee")
    )

    predictor.set_image(cat)
    masks, ious, _ = predictor.predict([[150, 120]], [1])
    by_point = draw_prompts(overlay(cat, [masks[best_mask(ious)]]), [(150, 120, 1)])

    boxes = [[20, 8, 420, 511], [283, 335, 511, 511]]
    predictor.set_image(astronaut)
    masks, _, _ = predictor.predict(box=boxes, multimask_output=False)
    by_boxes = draw_prompts(overlay(astronaut, list(masks[:, 0])), boxes=boxes)

    generator = repvit_sam.SamAutomaticMaskGenerator(model, points_per_side=int(points_per_side), pred_iou_thresh=0.8)
    everything = overlay(coffee, [record["segmentation"] for record in generator.generate(coffee)])

    pictures = [Image.fromarray(picture) for picture in (by_point, by_boxes, everything)]
    strip = [np.asarray(p.resize((round(p.width * 320 / p.height), 320))) for p in pictures]
    Path(result_path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.hstack(strip)).save(result_path, quality=88)
    print(result_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
