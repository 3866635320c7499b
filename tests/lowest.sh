#!/bin/sh
# The library's tests with the lowest versions that pyproject.toml allows. Usage: lowest.sh UV FOLDER [pytest's words]
set -eu
uv=$1
place=$2
shift 2
"$uv" venv --quiet --clear --python 3.10 "$place"
"$uv" pip install --quiet --python "$place" --resolution lowest-direct --editable '.[test]'
"$uv" pip list --quiet --python "$place" | grep -E '^(torch|torchvision|timm|numpy|pillow|opencv-python-headless|pycocotools|safetensors|typer) '
# each test file for itself would import torch again; slow ones are run by `make test`
"$place/bin/python" -m pytest -p no:cacheprovider -m "not slow and not every_export and not kills" "$@"
