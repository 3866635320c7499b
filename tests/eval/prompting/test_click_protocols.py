import json
from dataclasses import asdict

import pytest

from repvit_sam.eval.prompting.click_protocols import (
    CLICK_PROTOCOLS,
    find_protocol,
    prompt_name,
    protocol_from_json,
    read_clicks,
    read_masks,
)


def test_a_preset_is_found_and_single_choices_replace_its_own():
    assert find_protocol("house", masks=None) is not find_protocol("edgesam")
    mixed = find_protocol("efficientvit", feedback=True, masks=read_masks("oracle"))
    assert (mixed.box, mixed.feedback, mixed.masks) == ("annotation", True, ("oracle",) * 3)
    assert mixed.name == "efficientvit, changed"


def test_what_is_shown_changes_neither_the_name_nor_the_settings():
    shown = find_protocol("house", clicks=(1, 5))
    assert shown.name == "house"
    assert shown.settings() == CLICK_PROTOCOLS["house"].settings()
    assert shown.settings() != find_protocol("house", clicks=(1, 9)).settings()


def test_the_rows_are_the_boxes_then_the_clicks():
    assert find_protocol("edgesam", clicks=(1, 3)).prompts == (
        "box", "box + 1 click", "box + 2 clicks", "1 click", "3 clicks"
    )  # fmt: skip
    assert prompt_name(2) == "2 clicks"


@pytest.mark.parametrize("name", CLICK_PROTOCOLS)
def test_a_protocol_survives_json(name):
    written = json.dumps({**asdict(CLICK_PROTOCOLS[name]), "teacher": "somebody"})
    assert protocol_from_json(json.loads(written)) == CLICK_PROTOCOLS[name]


def test_masks_are_one_word_or_three():
    assert read_masks("single") == ("single",) * 3
    assert read_masks("single,oracle,best-predicted") == ("single", "oracle", "best-predicted")
    assert read_masks(None) is read_clicks(None) is None


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"box": "detector"}, "--box must be one of mask, annotation, got 'detector'"),
        ({"next_click": "random"}, "--next-click must be one of deepest, ritm"),
        ({"masks": ("single", "best")}, "--masks must be one of single, best-predicted, oracle, or three"),
        ({"masks": ("best",) * 3}, "got 'best,best,best'"),
        ({"clicks": (0, 1)}, "--clicks must be rising numbers from 1 on"),
        ({"clicks": (3, 2)}, "rising"),
        ({"clicks_after_box": -1}, "0 or more, got -1"),
    ],
)
def test_a_choice_that_is_none_is_refused(choices, words):
    with pytest.raises(ValueError, match=words):
        find_protocol("house", **choices)


def test_unknown_names_and_numbers_are_refused():
    with pytest.raises(ValueError, match="house, efficientvit, edgesam, got 'ritm'"):
        find_protocol("ritm")
    with pytest.raises(ValueError, match="got '1;2'"):
        read_clicks("1;2")
