"""A folder of photographs labelled in a real browser, with the real command and a server that is killed."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from repvit_sam.example_photos import EXAMPLE_PHOTOS, example_photo
from repvit_sam.photo import read_photo

from .conftest import DESKTOP, FIRST_PORT, Server, Visitor, iou

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SAVING = "document.querySelector('[data-part=folder-saving]').textContent"


def twelve_photos(folder):
    """Three views of each of the four photographs."""
    for name in EXAMPLE_PHOTOS:
        photo = read_photo(example_photo(name))
        height, width = photo.shape[:2]
        views = [photo, photo[:, ::-1], photo[: height * 3 // 4, : width * 3 // 4]]
        for number, view in enumerate(views):
            Image.fromarray(np.ascontiguousarray(view)).save(folder / f"{name}{number}.jpg", quality=92)


class LabelServer(Server):
    """`repvit-sam label`."""

    def __init__(self, folder, checkpoint):
        self.folder = folder
        super().__init__(FIRST_PORT + 50, "label", folder, "--classes", "cat,cup,person", "--checkpoint", checkpoint)

    @property
    def content(self):
        return json.loads((self.folder / "annotations.json").read_text())

    def clear(self):
        """As before anything was labelled; also another program may do this."""
        path = self.folder / "annotations.json"
        path.write_text(json.dumps({"categories": self.content["categories"][:3], "images": [], "annotations": []}))


@pytest.fixture(scope="module")
def label_server(tmp_path_factory, light_checkpoint):
    folder = tmp_path_factory.mktemp("photos")
    twelve_photos(folder)
    server = LabelServer(folder, light_checkpoint)
    yield server
    server.kill()


class Annotator(Visitor):
    """A person who labels the folder."""

    def opened(self, name):
        self.page.wait_for_function(
            "name => document.querySelector('.rs')?.rsDebug?.().photo === name", arg=name, timeout=60_000
        )
        self.state("ready")

    def saved(self):
        self.page.wait_for_function(f"{SAVING} === 'Saved'")

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def go_to(self, name):
        index = [photo["name"] for photo in self.document["folder"]["photos"]].index(name)
        strip = self.at("strip")
        strip.evaluate("(strip, left) => { strip.scrollLeft = left; }", index * 84)
        strip.locator(f'button[data-name="{name}"]').click()
        self.opened(name)

    def changed(self, action):
        """Do something by hand and wait until a layer has changed."""
        before = [(layer["id"], layer["area"], layer["category"]) for layer in self.document["layers"]]
        action()
        self.page.wait_for_function(
            "before => JSON.stringify(document.querySelector('.rs').rsDebug().layers"
            ".map(({ id, area, category }) => [id, area, category])) !== before",
            arg=json.dumps(before, separators=(",", ":")),
        )
        return self.document["layers"]

    def share(self, x, y):
        """A spot by shares of the photo's width and height."""
        return x * self.document["width"], y * self.document["height"]

    @property
    def areas(self):
        return [layer["area"] for layer in self.document["layers"]]


@pytest.fixture(scope="module")
def label_tab(browser):
    """The window of most tests, each of which finds it empty."""
    context = browser.new_context(**DESKTOP)
    yield context.new_page()
    context.close()


@pytest.fixture
def annotator(browser, label_server, label_tab):
    label_server.clear()
    annotator = Annotator(browser, label_server, label_tab)
    annotator.opened("astronaut0.jpg")
    yield annotator
    annotator.leave()


def masks_of(folder, name):
    coco = COCO(folder / "annotations.json")
    (image,) = [image for image in coco.imgs.values() if image["file_name"] == name]
    return [
        (coco.cats[record["category_id"]]["name"], coco.annToMask(record).astype(bool))
        for record in coco.loadAnns(coco.getAnnIds(image["id"]))
    ]


def test_twelve_photographs_are_labelled_while_the_server_is_killed_twice(annotator, label_server):
    names = [photo["name"] for photo in annotator.document["folder"]["photos"]]
    assert len(names) == 12
    expected = {}
    for number, name in enumerate(names):
        annotator.opened(name)
        annotator.press("o")
        annotator.click(*annotator.share(0.5, 0.5))
        annotator.press(str(1 + number % 3))
        annotator.changed(lambda: annotator.press("Enter"))
        if number % 3 == 1:  # a second object from a box
            annotator.answered(lambda: annotator.drag(*annotator.share(0.1, 0.1), *annotator.share(0.4, 0.5)))
            annotator.press("2")
            annotator.changed(lambda: annotator.press("Enter"))
        if number in (4, 9):
            label_server.kill()  # perhaps while it saves
            if number == 4:
                annotator.changed(lambda: annotator.press("3"))  # the class of the selected layer
                annotator.page.wait_for_function(f"{SAVING} === 'Not saved yet'")
            label_server.start()
        if number % 4 == 0:  # and the brush
            annotator.press("d")
            annotator.changed(lambda: annotator.drag(*annotator.share(0.7, 0.8), *annotator.share(0.9, 0.85)))
        expected[name] = [(layer["name"], layer["area"]) for layer in reversed(annotator.document["layers"])]
        annotator.press("f")
    annotator.status("All photos are done")
    annotator.saved()
    annotator.screenshot("labelling_done")
    for name in names:
        assert [(label, mask.sum()) for label, mask in masks_of(label_server.folder, name)] == expected[name]
    assert {image["repvit_sam"]["state"] for image in label_server.content["images"]} == {"done"}


def test_labels_are_shown_again_after_the_page_and_the_server_were_closed(browser, annotator, label_server):
    annotator.go_to("coffee0.jpg")
    annotator.click(300, 200)
    annotator.press("2")
    annotator.changed(lambda: annotator.press("Enter"))
    annotator.saved()
    before = annotator.areas
    label_server.kill()
    label_server.start()
    again = Annotator(browser, label_server)
    again.opened("astronaut0.jpg")  # the first that is untouched
    again.go_to("coffee0.jpg")
    assert again.areas == before
    assert again.document["layers"][0]["name"] == "cup"
    again.leave()


def test_what_could_not_be_saved_survives_a_reload(annotator, label_server):
    annotator.click(250, 100)
    annotator.changed(lambda: annotator.press("Enter"))
    annotator.saved()
    label_server.kill()
    annotator.press("3")  # another class for the selected layer
    annotator.page.wait_for_function(f"{SAVING} === 'Not saved yet'")
    annotator.screenshot("labelling_not_saved")
    assert label_server.content["annotations"][0]["category_id"] == 1
    label_server.start()
    annotator.page.once("dialog", lambda dialog: dialog.accept())
    annotator.page.reload()
    annotator.opened("astronaut1.jpg")  # the first is in work
    annotator.saved()
    assert label_server.content["annotations"][0]["category_id"] == 3


def test_everything_can_be_done_by_keys(annotator, label_server):
    annotator.at("stage").focus()
    annotator.press("ArrowRight", "ArrowUp", "ArrowUp")
    annotator.answered(lambda: annotator.press("Space"))
    annotator.press("3")
    annotator.changed(lambda: annotator.press("Enter"))
    annotator.press("d", "]", "]", *["Shift+ArrowRight"] * 3)
    larger = annotator.areas[0]
    annotator.changed(lambda: annotator.press("Space"))
    assert annotator.areas[0] != larger
    annotator.changed(lambda: annotator.press("Control+z"))
    annotator.press("v")
    annotator.page.wait_for_function("document.querySelector('.rs').rsDebug().outline")
    corners = sum(map(len, annotator.document["outline"]["loops"]))
    x, y = annotator.document["outline"]["loops"][0][0]
    walk_to(annotator, x, y)
    annotator.press("Space", "Shift+ArrowUp")
    annotator.changed(lambda: annotator.press("Space"))
    annotator.changed(lambda: annotator.press("Delete"))
    assert sum(map(len, annotator.document["outline"]["loops"])) == corners - 1
    annotator.press("PageDown")
    annotator.opened("astronaut1.jpg")
    annotator.press("p")
    annotator.opened("astronaut0.jpg")
    annotator.press("f")
    annotator.opened("astronaut1.jpg")
    annotator.saved()
    assert [image["repvit_sam"]["state"] for image in label_server.content["images"]] == ["done"]
    annotator.press(".")
    annotator.page.keyboard.type("moon")
    annotator.press("Enter")
    annotator.page.wait_for_function("document.querySelector('.rs').rsDebug().folder.classes.length === 4")
    annotator.press("u")
    annotator.opened("astronaut2.jpg")


def walk_to(annotator, x, y):
    """The crosshair, by arrow keys, to within a step of a spot in the photo."""
    for _ in range(400):
        spot = annotator.document["crosshair"]
        dx, dy = x - spot["x"], y - spot["y"]
        step = 9 / annotator.document["transform"]["scale"]
        if abs(dx) <= step and abs(dy) <= step:
            return
        key = ("ArrowRight" if dx > 0 else "ArrowLeft") if abs(dx) > abs(dy) else ("ArrowDown" if dy > 0 else "ArrowUp")
        far = max(abs(dx), abs(dy)) > 6 * step
        annotator.press(f"Shift+{key}" if far else key)
    raise AssertionError("the crosshair did not arrive")


def test_masks_are_corrected_by_hand_and_every_step_can_be_undone(annotator, label_server):
    annotator.press("d")
    annotator.changed(lambda: annotator.drag(100, 100, 200, 100))  # nothing is selected: a new layer
    (bar,) = annotator.areas
    annotator.changed(lambda: annotator.drag(150, 60, 150, 140))
    (cross,) = annotator.areas
    assert cross > bar
    annotator.press("e")
    annotator.changed(lambda: annotator.drag(150, 50, 150, 150))  # now in two parts
    assert annotator.areas[0] < bar
    halves = annotator.changed(lambda: annotator.press("s"))
    assert len(halves) == 2
    annotator.changed(lambda: annotator.press("m"))
    assert len(annotator.areas) == 1
    annotator.changed(lambda: annotator.press("i"))
    assert annotator.areas[0] < sum(half["area"] for half in halves)
    for _ in range(6):
        annotator.changed(lambda: annotator.press("Control+z"))
    assert annotator.areas == []
    for _ in range(2):
        annotator.changed(lambda: annotator.press("Control+Shift+z"))
    assert annotator.areas == [cross]
    annotator.saved()
    assert [record["area"] for record in label_server.content["annotations"]] == [cross]


def test_corners_of_an_outline_are_dragged_inserted_and_deleted(annotator):
    annotator.press("d")
    annotator.changed(lambda: annotator.drag(100, 150, 260, 150))
    annotator.press("v")
    annotator.page.wait_for_function("document.querySelector('.rs').rsDebug().outline")
    (loop,) = annotator.document["outline"]["loops"]
    top = min(loop, key=lambda corner: corner[1])
    before = annotator.areas[0]
    annotator.changed(lambda: annotator.drag(*top, top[0], top[1] - 80))
    annotator.screenshot("labelling_outline")
    assert annotator.areas[0] > before
    (moved,) = annotator.document["outline"]["loops"]
    assert len(moved) == len(loop)
    index = next(i for i in range(len(moved)) if np.hypot(*np.subtract(moved[i], moved[i - 1])) > 60)
    middle = np.mean([moved[index], moved[index - 1]], axis=0)
    annotator.page.mouse.click(*annotator.place(*middle))
    annotator.page.wait_for_function(
        "count => document.querySelector('.rs').rsDebug().outline.loops[0].length === count", arg=len(loop) + 1
    )
    annotator.changed(lambda: annotator.page.mouse.click(*annotator.place(top[0], top[1] - 80), button="right"))
    assert len(annotator.document["outline"]["loops"][0]) == len(loop)


def test_the_mask_on_the_stage_can_be_corrected_before_it_is_kept(annotator):
    annotator.click(250, 100)
    annotator.press("d")
    annotator.changed(lambda: annotator.drag(400, 400, 450, 400))
    annotator.page.wait_for_function("document.querySelector('.rs').rsDebug().layers[0]?.chain.length === 0")
    assert len(annotator.areas) == 1


def test_holes_are_filled_and_layers_are_cut(annotator):
    annotator.press("d")
    annotator.changed(lambda: annotator.drag(100, 100, 180, 100))
    annotator.press("e")
    annotator.changed(lambda: annotator.page.mouse.click(*annotator.place(140, 100)))
    ring = annotator.areas[0]
    annotator.press("g")  # the eraser is as wide as the bar: no hole, two parts
    annotator.status("Nothing to change")
    annotator.changed(lambda: annotator.press("Control+z"))
    annotator.press("[", "[", "[")
    annotator.changed(lambda: annotator.page.mouse.click(*annotator.place(140, 100)))
    with_hole = annotator.areas[0]
    assert with_hole > ring
    annotator.changed(lambda: annotator.press("g"))
    assert annotator.areas[0] > with_hole
    annotator.press("o")
    annotator.click(250, 100)
    annotator.changed(lambda: annotator.press("Enter"))
    upper = annotator.areas[0]
    annotator.press("j", "d", "]", "]", "]", "]")  # selects the lower one
    annotator.changed(lambda: annotator.drag(180, 100, 260, 100))
    annotator.changed(lambda: annotator.press("t"))
    assert annotator.areas[0] < upper


def test_a_photo_that_was_left_at_once_has_its_object_on_return_and_keeps_it(annotator, label_server):
    annotator.click(250, 100)
    annotator.press("Enter", "f")  # before the object is kept
    annotator.opened("astronaut1.jpg")
    annotator.press("p")
    annotator.opened("astronaut0.jpg")
    assert len(annotator.areas) == 1
    annotator.press("d")
    annotator.changed(lambda: annotator.drag(300, 300, 360, 300))
    annotator.press("o")
    annotator.answered(lambda: annotator.page.mouse.click(*annotator.place(100, 400)))
    annotator.press("f")  # a mask that is not kept stays
    annotator.status("Keep the mask first")
    annotator.saved()
    assert len(label_server.content["annotations"]) == 1


def test_two_windows_say_so_and_overwrite_nothing(browser, annotator, label_server):
    other = Annotator(browser, label_server)
    other.opened("astronaut0.jpg")
    assert "open in another window" in other.page.locator(".rs-toasts").inner_text()
    annotator.press("d")
    annotator.changed(lambda: annotator.drag(100, 100, 200, 100))
    annotator.saved()
    other.press("d")
    other.changed(lambda: other.drag(300, 300, 400, 300))
    other.page.wait_for_function("document.querySelector('.rs').rsDebug().layers.length === 2")
    assert "changed in another window too" in other.page.locator(".rs-toasts").inner_text()
    other.screenshot("labelling_two_windows")
    other.saved()
    masks = [mask for _, mask in masks_of(label_server.folder, "astronaut0.jpg")]
    assert [mask[100, 150] for mask in masks] == [True, False]
    assert [mask[300, 350] for mask in masks] == [False, True]
    annotator.page.wait_for_function(
        "document.querySelector('.rs').rsDebug().folder.photos[0].count === 2"
    )  # the list follows
    other.leave()


def test_another_tools_file_is_opened_as_layers_to_correct(annotator, label_server):
    content = label_server.content
    content["images"] = [{"id": 5, "file_name": "coffee0.jpg", "height": 400, "width": 600}]
    content["annotations"] = [
        {
            **{"id": 9, "image_id": 5, "category_id": 2, "iscrowd": 0, "area": 20000, "bbox": [100, 100, 200, 100]},
            "segmentation": [[100, 100, 300, 100, 300, 200, 100, 200]],
        }
    ]
    (label_server.folder / "annotations.json").write_text(json.dumps(content))
    annotator.press("d")
    annotator.changed(lambda: annotator.drag(100, 100, 200, 100))  # a save finds the change
    annotator.saved()
    annotator.go_to("coffee0.jpg")
    assert annotator.areas == [20_000]
    annotator.press("k", "e")
    annotator.changed(lambda: annotator.drag(100, 100, 300, 100))
    annotator.saved()
    ((label, mask),) = masks_of(label_server.folder, "coffee0.jpg")
    assert label == "cup"
    rectangle = np.zeros((400, 600), dtype=bool)
    rectangle[100:200, 100:300] = True
    assert 0.8 < iou(mask, rectangle) < 1
    assert [record["id"] for record in label_server.content["annotations"] if record["image_id"] == 5] == [9]


def test_classes_are_renamed_recoloured_and_kept_while_they_are_in_use(annotator, label_server):
    annotator.press("d", "2")
    annotator.changed(lambda: annotator.drag(100, 100, 200, 100))
    annotator.saved()
    row = annotator.at("classes").locator("li").nth(1)
    row.locator('[data-part="class-remove"]').click()
    annotator.page.wait_for_function("document.querySelector('.rs-toasts').textContent.includes('1 object in 1 photo')")
    row.locator('[data-part="class-name"]').fill("mug")
    row.locator('[data-part="class-name"]').press("Enter")
    annotator.page.wait_for_function("document.querySelector('.rs').rsDebug().layers[0].name === 'mug'")
    annotator.at("classes").locator("li").nth(1).locator('[data-part="class-colour"]').fill("#123456")
    annotator.page.wait_for_function("document.querySelector('.rs').rsDebug().layers[0].colour === '#123456'")
    assert label_server.content["categories"][1] == {"id": 2, "name": "mug", "color": [18, 52, 86]}
    annotator.at("layers").locator('[data-part="layer-class"]').select_option(label="person")
    annotator.saved()
    assert label_server.content["annotations"][0]["category_id"] == 3
    label = annotator.at("classes").locator("li").nth(1).locator('[data-part="class-name"]')
    label.fill("cup")
    label.press("Enter")
    annotator.page.wait_for_function("document.querySelector('.rs').rsDebug().folder.classes[1].name === 'cup'")


def test_labels_are_downloaded_as_yolo(annotator):
    annotator.press("d")
    annotator.changed(lambda: annotator.drag(100, 100, 200, 100))
    annotator.saved()
    name, content = annotator.download("export-yolo")
    assert name.endswith("_yolo.zip")
    assert content[:2] == b"PK"


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
def test_nothing_overflows_at_any_width(annotator, width, height):
    annotator.page.set_viewport_size({"width": width, "height": height})
    annotator.page.reload()
    annotator.opened("astronaut0.jpg")
    annotator.click(250, 100)
    annotator.changed(lambda: annotator.press("Enter"))
    annotator.screenshot(f"labelling_{width}")
    overflow = annotator.page.evaluate(
        "() => [...document.querySelectorAll('.rs button, .rs input, .rs select')]"
        ".filter(e => e.offsetParent && !e.closest('.rs-strip, .rs-unseen, dialog') && !e.matches('.rs-unseen'))"
        ".filter(e => { const r = e.getBoundingClientRect(); return r.left < -1 || r.right > innerWidth + 1; })"
        ".map(e => e.dataset.part)"
    )
    assert overflow == []
