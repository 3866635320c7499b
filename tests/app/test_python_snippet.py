"""The program that "copy as Python" shows is run, and gives the masks that the page had."""

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pydantic import ValidationError

from repvit_sam.app.python_snippet import write_snippet
from repvit_sam.app.schemas import PromptSet, Rle, SnippetObject
from repvit_sam.rle import encode_rle

from ..conftest import PHOTOS
from .conftest import CHECKPOINT

CUP, SPOON, BACK = (300.0, 200.0, 1), (420.0, 160.0, 1), (20.0, 20.0, 0)
HANDLE = (380.0, 90.0, 430.0, 150.0)
BOX = (425.0, 282.0, 170.0, 12.0)


CHAINS = {
    "a_point": (PromptSet(points=(CUP,)),),
    "its_third_mask": (PromptSet(points=(CUP,), pick=2),),
    "two_points": (PromptSet(points=(CUP, BACK)),),
    "a_box": (PromptSet(box=BOX),),
    "a_boxs_second_mask": (PromptSet(box=BOX, pick=1),),
    "a_box_and_a_point": (PromptSet(box=BOX, pick=2), PromptSet(box=BOX, points=(BACK,))),
    "three_sets": (
        PromptSet(points=(CUP,), pick=1),
        PromptSet(points=(CUP, SPOON)),
        PromptSet(points=(CUP, SPOON, BACK), pick=2),
    ),
    "a_refined_box": (PromptSet(box=HANDLE, pick=0, refine=True),),
    "a_refined_candidate": (PromptSet(points=(CUP,), pick=0, refine=True),),
    "a_point_after_refining": (PromptSet(box=HANDLE, pick=1, refine=True), PromptSet(box=HANDLE, points=(BACK,))),
    "the_single_mask": (PromptSet(points=(CUP,)), PromptSet(points=(CUP, BACK), pick=0)),
}


@pytest.fixture(scope="module")
def made(light_checkpoint, tmp_path_factory):
    """The variables of one program for all chains: it loads the model and encodes the photo once."""
    objects = [SnippetObject(name=name, checkpoint=CHECKPOINT, chain=chain) for name, chain in CHAINS.items()]
    variables, folder = {}, tmp_path_factory.mktemp("program")
    for path in (PHOTOS / "coffee.jpg", light_checkpoint):
        (folder / path.name).symlink_to(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(write_snippet("coffee.jpg", objects), variables)
    return variables


@pytest.mark.parametrize("name", CHAINS)
def test_the_program_makes_the_pages_mask(call, coffee_token, made, name):
    kept = call("keep", photo=coffee_token, chain=[prompts.model_dump() for prompts in CHAINS[name]])
    mask = coco_mask.decode(kept["rle"]).astype(bool)
    assert (made[name] & mask).sum() / (made[name] | mask).sum() >= 0.99
    assert made[name].dtype == np.bool_


def test_the_name_of_a_layer_becomes_a_variable():
    program = write_snippet("coffee.jpg", [SnippetObject(name="The cup!", chain=CHAINS["a_point"])])
    assert "# The cup!\n" in program
    assert "\nthe_cup = masks[pick]" in program


def test_names_become_variables_that_do_not_collide():
    chain = (PromptSet(points=(CUP,)),)
    names = ["cup", "Cup", "class", "2nd", "masks", "été", "***", "m²"]
    program = write_snippet("x.jpg", [SnippetObject(name=name, chain=chain) for name in names])
    compile(program, "copied", "exec")
    for variable in ("cup", "cup_2", "mask_class", "mask_2nd", "mask_masks", "été", "mask", "mask_2"):
        assert f"\n{variable} = masks[pick]" in program


def test_names_cannot_break_out_of_the_program():
    chain = (PromptSet(points=(CUP,)),)
    program = write_snippet("a'\n.jpg", [SnippetObject(name="x'\"", checkpoint="de'f", chain=chain)])
    compile(program, "copied", "exec")
    with pytest.raises(ValidationError):
        SnippetObject(name="x\nimport os", chain=chain)


def test_layers_of_two_checkpoints_are_made_with_their_own():
    chain = (PromptSet(points=(CUP,)),)
    objects = [SnippetObject(name=name, checkpoint=name, chain=chain) for name in ("small", "default", "default")]
    program = write_snippet("x.jpg", objects)
    assert program.count("repvit_sam.load('small')") == 1
    assert program.count("repvit_sam.load('default')") == 1


def test_a_mask_of_everything_mode_is_written_as_what_it_is():
    mask = np.zeros((30, 40), bool)
    mask[5:9, 3:20] = True
    made = {}
    exec(write_snippet("x.jpg", [SnippetObject(name="thing", rle=Rle(**encode_rle(mask)))]), made)
    np.testing.assert_array_equal(made["thing"], mask)
