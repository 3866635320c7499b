"""Tars as SA-1B has them, for tests."""

import io
import tarfile

import numpy as np
from pycocotools import mask as coco_mask


def rle_of(mask):
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def add_member(tar, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
