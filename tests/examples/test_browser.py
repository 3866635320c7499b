"""The page that runs an export in a browser; its masks as well where onnxruntime-web is installed (see serve.py)."""

import importlib.util
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from repvit_sam.canvas import fit_photo, normalise_and_pad, resize_photo
from repvit_sam.export import ExportConfig, export_onnx

BROWSER = Path(__file__).parents[2] / "examples" / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def serve():
    spec = importlib.util.spec_from_file_location("serve", BROWSER / "serve.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def url(serve, tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "manifest.json").write_text("{}")
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "ort.wasm.min.mjs").write_text("")
    (tmp_path / "secret").write_text("")
    with serve.make_server(tmp_path / "export", tmp_path / "runtime") as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_port_in_use_is_reported(url, tmp_path):
    port = url.rstrip("/").rpartition(":")[2]
    words = [BROWSER / "serve.py", tmp_path / "export", "--runtime", tmp_path / "runtime", "--port", port]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Error: port {port}: Address already in use. Choose another with --port." in done.stderr


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html"),
        ("segmenter.js", "text/javascript"),
        ("model/manifest.json", "application/json"),
        ("ort/ort.wasm.min.mjs", "text/javascript"),
        ("photos/coffee.jpg", "image/jpeg"),
    ],
)
def test_page_model_and_runtime_come_from_their_folders(url, path, kind):
    with urllib.request.urlopen(url + path) as answer:
        assert answer.headers.get_content_type() == kind
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        answer.read()


@pytest.mark.parametrize("path", ["model/../secret", "model/%2e%2e/secret", "/etc/passwd", "model/none.onnx"])
def test_no_other_files_are_served(url, path):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url + path)


def test_a_missing_file_is_reported_with_the_commands_to_make_it(tmp_path):
    command = [sys.executable, str(BROWSER / "serve.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "manifest.json does not exist" in done.stderr
    assert "npm install" in done.stderr


@pytest.fixture(scope="module")
def page():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
@pytest.mark.parametrize("photo_hw", [(229, 301), (400, 100), (3, 900), (64, 64)])
def test_the_canvas_made_in_a_browser_is_pythons(url, page, photo_hw):
    """Pixels in, canvas out: within one level of 255, and the same zeros around them."""
    photo = np.random.default_rng(0).integers(0, 256, (*photo_hw, 3), dtype=np.uint8)
    fit = fit_photo(photo_hw, 128)
    expected = normalise_and_pad(resize_photo(photo, fit), 128)
    make = """async ([data, height, width]) => {
        const { Segmenter } = await import('/segmenter.js');
        const tensors = [];
        const ort = { Tensor: function (kind, numbers, shape) { tensors.push(Array.from(numbers)); } };
        const encoder = { run: async () => ({ image_embeddings: { data: [] } }) };
        await new Segmenter(ort, encoder, null, 128).setPhoto({ data, height, width });
        return tensors[0];
    }"""
    rgba = np.concatenate([photo, np.full((*photo_hw, 1), 255, np.uint8)], axis=2)
    page.goto(url + "photos/coffee.jpg")
    found = np.array(page.evaluate(make, [rgba.ravel().tolist(), *photo_hw])).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1.01 / 57.12)
    np.testing.assert_array_equal(found == 0, expected == 0)
    assert np.mean(np.abs(found - expected) > 1e-5) < 0.01


@pytest.mark.browser
@pytest.mark.slow
def test_masks_of_the_page_are_pythons(serve, tmp_path):
    if CHROMIUM is None or not (serve.RUNTIME / "ort.wasm.min.mjs").is_file():
        pytest.skip("no Chromium, or no onnxruntime-web in build/ (npm install --prefix build onnxruntime-web)")
    export_onnx(ExportConfig(checkpoint="small", out=tmp_path, precision="fp32", canvas=256))
    done = subprocess.run(
        [sys.executable, str(BROWSER / "check.py"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("with Python") == 3
