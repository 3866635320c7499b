import pytest
from cachetools import TTLCache

from repvit_sam.app import store
from repvit_sam.app.schemas import RequestError
from repvit_sam.app.store import ModelStore, PhotoExpiredError, PhotoStore
from repvit_sam.checkpoints import CHECKPOINTS

from ..conftest import PHOTOS

COFFEE = (PHOTOS / "coffee.jpg").read_bytes()


@pytest.fixture
def photos():
    return PhotoStore([PHOTOS / "rocket.jpg"])


def test_a_photo_is_found_by_its_token_alone(photos):
    stored, pixels = photos.add("coffee.jpg", COFFEE)
    assert photos.get(stored.token) is stored
    assert pixels.shape == (*stored.photo_hw, 3)
    assert len(stored.token) >= 20
    with pytest.raises(PhotoExpiredError, match="open it again"):
        photos.get("coffee.jpg")


def test_the_same_photo_twice_has_two_tokens(photos):
    assert photos.add("a.jpg", COFFEE)[0].token != photos.add("a.jpg", COFFEE)[0].token


def test_examples_are_everybodys(photos):
    assert photos.get("example-rocket").name == "rocket.jpg"
    with pytest.raises(PhotoExpiredError):
        photos.get("example-../coffee")


def test_the_oldest_photo_goes_when_the_bytes_run_out(monkeypatch):
    monkeypatch.setattr(store, "MAX_PHOTO_BYTES", int(2.5 * (len(COFFEE) + 1024)))
    photos = PhotoStore([])
    first, second = (photos.add(name, COFFEE)[0] for name in ("1.jpg", "2.jpg"))
    photos.get(first.token)  # used again: now the second is the oldest
    third, _ = photos.add("3.jpg", COFFEE)
    assert photos.get(first.token)
    assert photos.get(third.token)
    with pytest.raises(PhotoExpiredError):
        photos.get(second.token)


def test_a_photo_goes_an_hour_after_it_was_last_asked_for(photos):
    now = [0.0]
    photos._stored = TTLCache(10**9, store.KEEP_SECONDS, timer=lambda: now[0])
    token = photos.add("coffee.jpg", COFFEE)[0].token
    now[0] = 3000
    photos.get(token)
    now[0] = 6000
    photos.get(token)
    now[0] = 9700
    with pytest.raises(PhotoExpiredError):
        photos.get(token)


def test_only_installed_checkpoints_can_be_chosen(tmp_path):
    models = ModelStore("small", "cpu")
    assert models.names()["small"] == "small: repvit_sam_m0_9"
    assert models.get("small").torch_model.variant == "repvit_m0_9"
    with pytest.raises(RequestError, match=r"not installed here; there are small, repvit_sam_m2_3, tinyvit_sam$"):
        models.get(str(tmp_path / "x.safetensors"))
    with pytest.raises(RequestError):
        models.get("sam_vit_h")


def test_a_checkpoint_of_several_names_is_listed_once_and_found_by_each():
    models = ModelStore("repvit_sam_m0_9", "cpu")
    assert models.names()["repvit_sam_m0_9"] == "repvit_sam_m0_9"
    assert not {"default", "small"} & set(models.names())
    assert models.get("default") is models.get("small") is models.get("repvit_sam_m0_9")
    assert models.thresholds("small") == models.thresholds("default")
    assert models.about("small") == models.about("default") == CHECKPOINTS["repvit_sam_m0_9"].about
