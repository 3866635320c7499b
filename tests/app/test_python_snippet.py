"""The program that "copy as Python" shows is run, and gives the masks that the page had."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pydantic import ValidationError

from repvit_sam.app.python_snippet import as_python
from repvit_sam.app.schemas import CodeObject, Rle, Step
from repvit_sam.rle import encode_rle

from ..conftest import PHOTOS
from .conftest import CHECKPOINT

CUP, SPOON, BACK = (300.0, 200.0, 1), (420.0, 160.0, 1), (20.0, 20.0, 0)
BOX = (425.0, 282.0, 170.0, 12.0)


@pytest.mark.parametrize(
    "chain",
    [
        (Step(points=(CUP,)),),
        (Step(points=(CUP,), pick=2),),
        (Step(points=(CUP, BACK)),),
        (Step(box=BOX),),
        (Step(box=BOX, pick=1),),
        (Step(box=BOX, pick=2), Step(box=BOX, points=(BACK,))),
        (Step(points=(CUP,), pick=1), Step(points=(CUP, SPOON)), Step(points=(CUP, SPOON, BACK), pick=2)),
        (Step(points=(CUP,)), Step(points=(CUP, BACK), pick=0)),
    ],
    ids=lambda chain: "-".join(
        f"{len(s.points)}{'b' if s.box else ''}{'' if s.pick is None else s.pick}" for s in chain
    ),
)
def test_the_program_makes_the_pages_mask(ask, coffee_token, chain, monkeypatch):
    monkeypatch.chdir(PHOTOS)
    program = as_python("coffee.jpg", [CodeObject(name="The cup!", checkpoint=CHECKPOINT, chain=chain)])
    made = {}
    exec(program, made)
    kept = ask("keep", photo=coffee_token, chain=[step.model_dump() for step in chain])
    mask = coco_mask.decode(kept["rle"]).astype(bool)
    assert (made["the_cup"] & mask).sum() / (made["the_cup"] | mask).sum() >= 0.99
    assert made["the_cup"].dtype == np.bool_


def test_names_become_variables_that_do_not_collide():
    chain = (Step(points=(CUP,)),)
    names = ["cup", "Cup", "class", "2nd", "masks", "été", "***", "m²"]
    program = as_python("x.jpg", [CodeObject(name=name, chain=chain) for name in names])
    compile(program, "copied", "exec")
    for variable in ("cup", "cup_2", "mask_class", "mask_2nd", "mask_masks", "été", "mask", "mask_2"):
        assert f"\n{variable} = masks[pick]" in program


def test_names_cannot_break_out_of_the_program():
    chain = (Step(points=(CUP,)),)
    program = as_python("a'\n.jpg", [CodeObject(name="x'\"", checkpoint="de'f", chain=chain)])
    compile(program, "copied", "exec")
    with pytest.raises(ValidationError):
        CodeObject(name="x\nimport os", chain=chain)


def test_layers_of_two_checkpoints_are_made_with_their_own():
    chain = (Step(points=(CUP,)),)
    objects = [CodeObject(name=name, checkpoint=name, chain=chain) for name in ("small", "default", "default")]
    program = as_python("x.jpg", objects)
    assert program.count("repvit_sam.load('small')") == 1
    assert program.count("repvit_sam.load('default')") == 1


def test_a_mask_of_everything_mode_is_written_as_what_it_is():
    mask = np.zeros((30, 40), bool)
    mask[5:9, 3:20] = True
    made = {}
    exec(as_python("x.jpg", [CodeObject(name="thing", rle=Rle(**encode_rle(mask)))]), made)
    np.testing.assert_array_equal(made["thing"], mask)
