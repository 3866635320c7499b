"""All boxes of a detector in one call: python examples/detector_boxes.py photo.jpg result.json 170,12,425,282 ..."""

import json
import sys

import repvit_sam
from repvit_sam.rle import encode_rle


def main(photo_path: str, result_path: str, *boxes: str) -> None:
    boxes_xyxy = [[float(side) for side in box.split(",")] for box in boxes]
    predictor = repvit_sam.SamPredictor(repvit_sam.load("default"))
    predictor.set_image(photo_path)
    # batched=True keeps the first axis even where there is a single box
    masks, iou_predictions, _ = predictor.predict(box=boxes_xyxy, multimask_output=False, batched=True)
    records = [
        {"box": box, "segmentation": encode_rle(mask[0]), "predicted_iou": float(iou[0])}
        for box, mask, iou in zip(boxes_xyxy, masks, iou_predictions, strict=True)
    ]
    with open(result_path, "w") as stream:
        json.dump(records, stream)
    print(f"{len(records)} masks -> {result_path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
