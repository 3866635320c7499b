#!/bin/sh
# What a release is, beside the wheel and the archive in DIST: the checkpoints, sbom.json and SHA256SUMS.
# Usage: release.sh PYTHON DIST. The packages in sbom.json are those that pip installs with the wheel and its page.
set -eu
python=$1
dist=$2
tools=$(dirname "$python")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for name in repvit_sam_m2_3 tinyvit_sam repvit_sam_m0_9; do
  "$tools/repvit-sam" weights verify "$name"
done
cp weights/*.safetensors "$dist"

wheel=$(ls "$dist"/*.whl)
"$python" -m venv "$place/clean"
"$place/clean/bin/python" -m pip install --disable-pip-version-check --quiet "${wheel}[app]"
"$place/clean/bin/python" -m pip uninstall --disable-pip-version-check --quiet --yes pip setuptools
"$tools/cyclonedx-py" environment --pyproject pyproject.toml --output-reproducible --of JSON \
  --output-file "$dist/sbom.json" "$place/clean/bin/python"

cd "$dist"
sha256sum -- *.whl *.tar.gz *.safetensors sbom.json >SHA256SUMS
sha256sum --check --quiet SHA256SUMS
echo "ready in $dist: $(ls | tr '\n' ' ')"
