"""One click, one mask: python examples/one_click.py photo.jpg 300 200 result.png"""

import sys

from PIL import Image

import repvit_sam
from repvit_sam.masks import best_mask
from repvit_sam.visualize import draw_prompts, overlay


def main(photo_path: str, x: str, y: str, result_path: str) -> None:
    predictor = repvit_sam.SamPredictor(repvit_sam.load("default"))
    photo = repvit_sam.read_photo(photo_path)
    predictor.set_image(photo)
    # a single point is ambiguous: three masks come back, part to whole, each with the model's own rating
    masks, iou_predictions, _ = predictor.predict([[float(x), float(y)]], [1])
    mask = masks[best_mask(iou_predictions)]
    Image.fromarray(draw_prompts(overlay(photo, [mask]), [(float(x), float(y), 1)])).save(result_path)
    print(f"{mask.sum()} pixels, predicted IoU {iou_predictions.max():.2f} -> {result_path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
