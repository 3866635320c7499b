#!/bin/sh
# `segment` on ONNX Runtime with the lowest versions that pyproject.toml allows, without torch (3 GB less than
# tests/lowest.sh), against the same command here. Usage: lowest_onnx.sh BIN FOLDER
set -eu
bin=$1
place=$2
photo=repvit_sam/example_photos/coffee.jpg
rm -rf "$place"
mkdir -p "$place"
"$bin/uv" pip compile --quiet --resolution lowest-direct --extra onnx --no-header --no-annotate pyproject.toml |
  grep -vE '^(torch|torchvision|triton|timm|nvidia-[a-z0-9-]+)==' >"$place/versions.txt"
"$bin/uv" venv --quiet --clear --python "$bin/python" "$place/env"
"$bin/uv" pip install --quiet --python "$place/env" --no-deps --requirements "$place/versions.txt"
"$bin/uv" pip install --quiet --python "$place/env" --no-deps .
"$bin/repvit-sam" export onnx --checkpoint small --out "$place/model"
for side in here lowest; do
  program=$bin
  [ "$side" = here ] || program=$place/env/bin
  "$program/repvit-sam" segment "$photo" --box 170,12,425,282 --engine onnx --checkpoint "$place/model" --out "$place/$side"
done
"$bin/python" - "$place" <<'EOF'
import sys
from pathlib import Path

from repvit_sam import read_photo

here, lowest = (read_photo(Path(sys.argv[1]) / side / "mask.png")[..., 0] > 0 for side in ("here", "lowest"))
iou = (here & lowest).sum() / (here | lowest).sum()
assert iou >= 0.999, f"IoU {iou:.4f} with the mask of the newest versions, expected 0.999 or more"
print(f"lowest versions: IoU {iou:.4f} with the mask of the newest")
EOF
