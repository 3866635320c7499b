"""The page that segments in a browser alone. What needs onnxruntime-web is skipped where it is not in build/."""

import importlib.util
import io
import json
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from pycocotools.coco import COCO

from repvit_sam.canvas import fit_photo, photo_to_canvas
from repvit_sam.masks import coco_bbox, mask_at_photo_size
from repvit_sam.rle import decode_rle, encode_rle

from ..app.browser.conftest import CUP, CUP_BOX, DESKTOP, Visitor
from ..conftest import PHOTOS

BROWSER = Path(__file__).parents[2] / "examples" / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CANVAS = 256  # a sixteenth of the pixels of 1024: the masks are coarse, and ready in a tenth of the time
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


def load_program(name):
    """A program of examples/browser, with its neighbours in reach as when it is run by its path."""
    sys.path.insert(0, str(BROWSER))
    try:
        spec = importlib.util.spec_from_file_location(name, BROWSER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BROWSER))
    return module


build, check, serve, web_model = map(load_program, ("build", "check", "serve", "web_model"))


@contextmanager
def serving(folder, isolated=True):
    with serve.make_server(folder, isolated=isolated) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


# serving


@pytest.fixture
def url(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "runtime.mjs").write_text("")
    (tmp_path / "secret").write_text("")
    with serving(tmp_path / "site") as url:
        yield url


def test_scripts_come_with_their_kind_and_the_headers_for_threads(url):
    with urllib.request.urlopen(url + "runtime.mjs") as answer:
        assert answer.headers.get_content_type() == "text/javascript"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"


@pytest.mark.parametrize("path", ["../secret", "%2e%2e/secret", "etc/passwd"])
def test_no_other_files_are_served(url, path):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url + path)


def test_a_port_in_use_is_reported(url, tmp_path):
    (tmp_path / "site" / "site.json").write_text("{}")
    words = [BROWSER / "serve.py", tmp_path / "site", "--port", url.rstrip("/").rpartition(":")[2]]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Address already in use. Choose another with --port." in done.stderr


def test_a_folder_that_is_no_site_is_refused_with_the_command_that_makes_one(tmp_path):
    done = subprocess.run([sys.executable, str(BROWSER / "serve.py"), str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "build.py --out" in done.stderr


# building


@pytest.fixture
def runtime(tmp_path):
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in build.RUNTIME_FILES:
        (folder / name).write_text(name)
    return folder


def test_a_missing_runtime_is_reported_with_the_command_that_installs_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="npm install --prefix build onnxruntime-web"):
        build.build("small", tmp_path / "site", runtime=tmp_path)


def test_a_folder_with_other_files_is_not_overwritten(tmp_path, runtime):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="holds other files"):
        build.build("small", tmp_path / "site", runtime=runtime)
    assert (tmp_path / "site" / "letter.txt").read_text() == "dear"


def test_an_unknown_precision_is_refused(tmp_path):
    with pytest.raises(ValueError, match="precision must be one of fp32, fp16, int8, got 'int4'"):
        build.build("small", tmp_path, precision="int4")


@pytest.fixture
def network(tmp_path):
    """A file with a large and a small weight, and the output that the page does not need."""
    rng = np.random.default_rng(0)
    weights = {"large": rng.normal(size=(64, 64)), "small": rng.normal(size=(1, 64))}
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "large"], ["product"]),
            helper.make_node("Add", ["product", "small"], ["low_res_masks"]),
            helper.make_node("Mul", ["low_res_masks", "orig_im_size"], ["masks"]),
        ],
        "network",
        [value("x", TensorProto.FLOAT, [1, 64]), value("orig_im_size", TensorProto.FLOAT, [1])],
        [value("masks", TensorProto.FLOAT, [1, 64]), value("low_res_masks", TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "a.onnx")
    return tmp_path / "a.onnx"


def test_the_web_model_has_half_the_bytes_and_nearly_the_same_results(network, tmp_path):
    web_model.write_web_model(network, tmp_path / "b.onnx", halve=True)
    assert (tmp_path / "b.onnx").stat().st_size < 0.7 * network.stat().st_size
    x = np.random.default_rng(1).normal(size=(1, 64)).astype(np.float32)
    before, after = (onnxruntime.InferenceSession(str(path)) for path in (network, tmp_path / "b.onnx"))
    (expected,) = before.run(["low_res_masks"], {"x": x, "orig_im_size": np.ones(1, np.float32)})
    (found,) = after.run(None, {"x": x})  # masks and orig_im_size are gone
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert np.abs(found - expected).max() > 0
    stored = {tensor.name: tensor.data_type for tensor in onnx.load(tmp_path / "b.onnx").graph.initializer}
    assert stored == {"large_fp16": TensorProto.FLOAT16, "small": TensorProto.FLOAT}


# the page's arithmetic, without a model


@pytest.fixture(scope="module")
def scripts(chromium):
    """An empty page beside the scripts."""
    with serving(BROWSER / "static") as url:
        page = chromium.new_page()
        page.goto(url + "rle.js")
        yield page
        page.close()


@pytest.mark.browser
@in_chromium
@pytest.mark.parametrize("photo_hw", [(115, 151), (300, 75), (3, 900), (64, 64), (128, 128)])
def test_the_canvas_made_in_a_browser_is_pythons_to_the_bit(scripts, photo_hw):
    photo = np.random.default_rng(0).integers(0, 256, (*photo_hw, 3), dtype=np.uint8)
    expected, _ = photo_to_canvas(photo, 128)
    make = """async ([data, height, width]) => {
        const { fitPhoto, toCanvas } = await import('/canvas.js');
        const photo = { data, height, width };
        return Array.from(toCanvas(photo, fitPhoto(photo, 128)));
    }"""
    rgba = np.concatenate([photo, np.full((*photo_hw, 1), 255, np.uint8)], axis=2)
    found = np.array(scripts.evaluate(make, [rgba.ravel().tolist(), *photo_hw])).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)  # a level of 255 is 0.017


@pytest.mark.browser
@in_chromium
@pytest.mark.parametrize("photo_hw", [(229, 301), (40, 900)])
def test_masks_of_logits_made_in_a_browser_are_pythons(scripts, photo_hw):
    coarse = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    logits = np.asarray(Image.fromarray(coarse).resize((32, 32), Image.Resampling.BICUBIC))
    expected = mask_at_photo_size(logits, fit_photo(photo_hw, 128))
    make = """async ([logits, height, width]) => {
        const [{ fitPhoto }, { resizeMask, boxOf }] = [await import('/canvas.js'), await import('/masks.js')];
        const mask = resizeMask(Float32Array.from(logits), 32, fitPhoto({ width, height }, 128), { width, height });
        return [Array.from(mask), boxOf(mask, { width, height })];
    }"""
    pixels, box = scripts.evaluate(make, [logits.ravel().tolist(), *photo_hw])
    found = np.array(pixels).reshape(photo_hw).astype(bool)
    assert 0.2 < expected.mean() < 0.8
    assert (found != expected).sum() <= 2  # where a logit is 0 but for rounding
    assert box == {"bbox": coco_bbox(found), "area": found.sum()}


@pytest.mark.browser
@in_chromium
@pytest.mark.parametrize("share", [0, 0.2, 0.5, 1])
def test_rle_made_in_a_browser_is_pycocotools(scripts, share):
    mask = np.random.default_rng(0).random((70, 90)) < share
    if share == 0.2:
        mask = np.kron(mask[:5, :7], np.ones((40, 30))) > 0  # long runs
    both = """async ([pixels, height, width]) => {
        const { encodeRle, decodeRle } = await import('/rle.js');
        const rle = encodeRle(Uint8Array.from(pixels), { width, height });
        return [rle, Array.from(decodeRle(rle, { width, height }))];
    }"""
    rle, decoded = scripts.evaluate(both, [mask.ravel().astype(int).tolist(), *mask.shape])
    assert rle == encode_rle(mask)
    assert decoded == mask.ravel().astype(int).tolist()


# the site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if CHROMIUM is None or not all((build.RUNTIME / name).is_file() for name in build.RUNTIME_FILES):
        pytest.skip("no Chromium, or no onnxruntime-web in build/ (npm install --prefix build onnxruntime-web)")
    folder = tmp_path_factory.mktemp("www") / "site"
    build.build("small", folder, canvas=CANVAS)
    return folder


@pytest.fixture(scope="module")
def visit(chromium, site):
    """A visit that the tests share; a photo opened anew has no prompts."""
    with serving(site) as url:
        visitor = Visitor(chromium, SimpleNamespace(url=url))
        yield visitor
        assert visitor.complaints == []
        visitor.leave()


@pytest.fixture
def on_coffee(visit):
    visit.at("example-coffee").click()
    visit.status(r"^coffee\.jpg, 600 . 400 pixels")
    visit.state("ready")
    return visit


def current_mask(visitor):
    _, content = visitor.download("download-coco")
    return decode_rle(json.loads(content)["annotations"][0]["segmentation"])


@pytest.mark.browser
@pytest.mark.slow
def test_a_click_a_background_point_and_a_box_give_pythons_masks(on_coffee):
    expected = check.expected_masks("small", CANVAS)
    found = {}
    on_coffee.click(*check.CLICK)
    found["a click"] = current_mask(on_coffee)
    on_coffee.click(*check.CORRECTION, button="right")
    found["a background point"] = current_mask(on_coffee)
    on_coffee.page.keyboard.press("Escape")
    on_coffee.answered(lambda: on_coffee.drag(*check.DRAG))
    found["a box"] = current_mask(on_coffee)
    for name, mask in found.items():
        assert check.iou(mask, expected[name]) >= 0.98, name
        assert mask.mean() > 0.005


@pytest.mark.browser
@pytest.mark.slow
def test_kept_objects_are_a_coco_file_that_pycocotools_reads(on_coffee, tmp_path):
    on_coffee.click(*CUP)
    on_coffee.at("keep").click()
    on_coffee.status("Object 1 kept")
    on_coffee.answered(lambda: on_coffee.drag(20, 250, 130, 390))
    on_coffee.at("keep").click()
    on_coffee.status("Object 2 kept")
    name, content = on_coffee.download("download-coco")
    assert name == "coffee_coco.json"
    (tmp_path / name).write_bytes(content)
    coco = COCO(tmp_path / name)
    first, second = coco.loadAnns(coco.getAnnIds())
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["Object 1", "Object 2"]
    for annotation in (first, second):
        mask = coco.annToMask(annotation)
        assert mask.shape == (400, 600)
        assert annotation["area"] == mask.sum() > 0
        assert annotation["bbox"] == coco_bbox(mask)


@pytest.mark.browser
@pytest.mark.slow
def test_mask_and_cut_out_show_the_object_and_nothing_else(on_coffee):
    on_coffee.answered(lambda: on_coffee.drag(*CUP_BOX))
    mask = current_mask(on_coffee)
    _, content = on_coffee.download("download-mask")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content)).convert("L")) > 127, mask)
    on_coffee.at("full-size").check()
    _, content = on_coffee.download("download-cutout")
    on_coffee.at("full-size").uncheck()
    picture = np.asarray(Image.open(io.BytesIO(content)))
    np.testing.assert_array_equal(picture[..., 3] > 0, mask)
    assert not picture[~mask].any()
    photo = np.asarray(Image.open(PHOTOS / "coffee.jpg"))
    assert np.abs(picture[..., :3][mask].astype(int) - photo[mask]).max() <= 2
    _, content = on_coffee.download("download-cutout")
    assert Image.open(io.BytesIO(content)).size == tuple(coco_bbox(mask)[2:])


@pytest.mark.browser
@pytest.mark.slow
def test_the_keyboard_alone_places_keeps_and_undoes(on_coffee):
    on_coffee.at("stage").focus()
    on_coffee.page.keyboard.press("ArrowUp")
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Space"))
    on_coffee.page.keyboard.press("r")  # what needs a server does nothing
    on_coffee.page.keyboard.press("a")
    assert "refine" not in on_coffee.document["chain"][-1]
    on_coffee.page.keyboard.press("2")
    assert on_coffee.document["picks"] == [1]
    on_coffee.page.keyboard.press("Enter")
    on_coffee.status("Object 1 kept")
    on_coffee.answered(lambda: on_coffee.page.keyboard.press("Control+z"))
    assert on_coffee.document["layers"] == []
    assert len(on_coffee.document["chain"]) == 1


@pytest.mark.browser
@pytest.mark.slow
def test_what_needs_a_server_is_not_shown(on_coffee):
    for name in ("checkpoint", "refine", "everything-run", "download-svg", "download-overlay", "code"):
        assert not on_coffee.at(name).is_visible(), name
    on_coffee.at("help").click()
    help_text = on_coffee.at("help-dialog").inner_text()
    on_coffee.page.keyboard.press("Escape")
    assert "keep the object as a layer" in help_text
    assert "refine it" not in help_text
    assert "find everything" not in help_text


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1000, 1280])
def test_the_photo_stays_where_it_is_while_its_status_changes(on_coffee, width):
    on_coffee.page.set_viewport_size({"width": width, "height": 900})
    heights = set()
    for act in (lambda: None, lambda: on_coffee.click(*CUP), lambda: on_coffee.page.keyboard.press("Escape")):
        act()
        heights.add(on_coffee.at("stage").bounding_box()["height"])
    on_coffee.page.set_viewport_size(DESKTOP["viewport"])
    assert len(heights) == 1


@pytest.mark.browser
@pytest.mark.slow
def test_a_photo_that_lies_on_its_side_is_opened_upright(visit, tmp_path):
    sideways = Image.open(PHOTOS / "coffee.jpg").resize((120, 80))
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways.save(tmp_path / "sideways.jpg", exif=exif)
    visit.open(tmp_path / "sideways.jpg")
    assert (visit.document["width"], visit.document["height"]) == (80, 120)


@pytest.mark.browser
@pytest.mark.slow
def test_a_broken_photo_is_refused_with_a_sentence_and_the_open_one_stays(on_coffee, tmp_path):
    (tmp_path / "broken.jpg").write_bytes((PHOTOS / "coffee.jpg").read_bytes()[:200])
    on_coffee.at("file").set_input_files(tmp_path / "broken.jpg")
    on_coffee.page.get_by_text("broken.jpg is damaged, or no picture that this browser reads").wait_for()
    on_coffee.state("ready")
    on_coffee.click(*CUP)
    assert current_mask(on_coffee).shape == (400, 600)


@pytest.mark.browser
@pytest.mark.slow
def test_a_plain_host_gets_threads_by_the_service_worker_and_the_second_visit_needs_no_connection(chromium, site):
    with serving(site.parent, isolated=False) as url:
        first = Visitor(chromium, SimpleNamespace(url=f"{url}site/"))
        context = first.context
        assert first.page.evaluate("crossOriginIsolated")
        assert thread_count(first) > 1
        first.click(*CUP)
        paths = json.loads((site / "site.json").read_text())["page_files"]
        first.page.wait_for_function(  # until the small files are kept
            "async (paths) => (await Promise.all(paths.map((path) => caches.match(path)))).every(Boolean)", arg=paths
        )
        first.page.close()
        context.set_offline(True)
        second = Visitor(chromium, SimpleNamespace(url=f"{url}site/"), context=context)
        second.at("example-coffee").click()
        second.status(r"^coffee\.jpg")
        second.state("ready")
        second.click(*CUP)
        assert current_mask(second).any()
        context.close()


@pytest.mark.browser
@pytest.mark.slow
def test_without_isolation_one_thread_computes(chromium, site):
    with serving(site, isolated=False) as url:
        visitor = Visitor(chromium, SimpleNamespace(url=url), service_workers="block")
        assert not visitor.page.evaluate("crossOriginIsolated")
        assert thread_count(visitor) == 1
        visitor.click(200, 150)
        assert current_mask(visitor).any()
        visitor.leave()


@pytest.mark.browser
@pytest.mark.slow
def test_a_model_that_cannot_be_had_is_said_on_the_stage(chromium, site):
    with serving(site) as url:
        context = chromium.new_context(**DESKTOP, service_workers="block")
        context.route("**/decoder.onnx*", lambda route: route.fulfill(status=404))
        page = context.new_page()
        page.goto(url)
        page.get_by_text("model/decoder.onnx is missing, the host answers 404").first.wait_for()
        assert page.locator(".rs").get_attribute("data-state") == "failed"
        context.close()


def thread_count(visitor):
    """The number of threads that the page says it uses."""
    return int(visitor.at("figures").inner_text().split("WebAssembly, ")[1].split(" thread")[0])
