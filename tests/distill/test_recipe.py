from pathlib import Path

import pytest

from repvit_sam.distill.recipe import RecipeError, find_recipe, read_recipe, recipes_folder, with_minutes

SHIPPED = sorted(recipes_folder().glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_bundled_recipe_is_valid_and_says_what_it_is(path):
    recipe = read_recipe(path)
    assert len(recipe.about) > 40
    assert read_recipe(path).as_yaml() == recipe.as_yaml()


def test_what_is_written_down_reads_back_as_the_same(tmp_path):
    recipe = read_recipe(find_recipe("smoke"))
    (tmp_path / "r.yaml").write_text(recipe.as_yaml())
    assert read_recipe(tmp_path / "r.yaml") == recipe


def test_set_changes_a_value_by_its_path():
    changes = ["canvas=256", "stages.0.batch=6", "data.sources=[a, b]", "teacher.cache=c", "engine.compile=true"]
    recipe = read_recipe(find_recipe("smoke"), changes)
    assert (recipe.canvas, recipe.stages[0].batch, recipe.data.sources) == (256, 6, ("a", "b"))
    assert recipe.teacher.cache == Path("c")
    assert recipe.engine.compile


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("lerning_rate=1", "lerning_rate: Extra inputs are not permitted"),
        ("stages.0.lerning_rate=1", r"stages.0.lerning_rate: Extra inputs"),
        ("stages.0.batch=0", r"stages.0.batch: Input should be greater than or equal to 1"),
        ("stages.9.batch=1", "no key stages.9.batch"),
        ("canvas.x=1", "no key canvas.x"),
        ("canvas", "takes key=value"),
        ("canvas=1000", "multiple of 64"),
        ("stages.0.window=100", "multiple of 16"),
        ("stages.0.window=1024", "larger than the canvas of 512"),
        ("stages.0.steps=5", "exactly one of steps, epochs and minutes, got steps and minutes"),
        ("stages.0.minutes=null", "got none"),
        ("stages.0.train=[decoder]", "trains only the encoder"),
        ("stages.0.kind=magic", "stages.0: "),
        ("data.sources=[]", "data.sources: "),
    ],
)
def test_a_mistake_is_named_with_its_place(change, words):
    with pytest.raises(RecipeError, match=words):
        read_recipe(find_recipe("smoke"), [change])


def test_cached_embeddings_and_changed_photos_do_not_go_together():
    with pytest.raises(RecipeError, match="cached embeddings belong to the unchanged one"):
        read_recipe(find_recipe("smoke"), ["teacher.cache=c", "stages.0.augment.mirror=true"])


def test_minutes_are_shared_in_proportion():
    recipe = with_minutes(read_recipe(find_recipe("smoke")), 7)
    assert [stage.minutes for stage in recipe.stages] == [4.5, 2.5]
    stepped = read_recipe(find_recipe("smoke"), ["stages.0.minutes=null", "stages.0.steps=5"])
    with pytest.raises(RecipeError, match="all given in minutes"):
        with_minutes(stepped, 9)


@pytest.mark.parametrize(("text", "words"), [("[1]", "must hold keys"), ("a: [", "not valid YAML")])
def test_a_file_that_is_no_recipe_says_so(text, words, tmp_path):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=words):
        read_recipe(tmp_path / "r.yaml")


def test_an_unknown_recipe_names_those_that_exist():
    with pytest.raises(RecipeError, match=r"bundled recipes: .*smoke"):
        read_recipe(find_recipe("smok"))
