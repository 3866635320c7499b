#!/bin/sh
# Lay the folders of the checkout out as the one package that they are in the wheel, by links. Usage: one_package.sh DIR
set -eu
rm -rf "$1/repvit_sam" "$1/benchmarks"
mkdir -p "$1/repvit_sam"
for part in repvit_sam/* app distill eval weights; do
  ln -s "$PWD/$part" "$1/repvit_sam/$(basename "$part")"
done
ln -s "$PWD/benchmarks" "$1/benchmarks"
