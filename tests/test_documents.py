"""What the documents say works: README's Python, the examples, the commands, the figures' links."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import repvit_sam

from .conftest import PHOTOS
from .repvit_sam.tiny_detectors import save_owl

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(code.strip().splitlines()) <= 12
    shutil.copy(PHOTOS / "coffee.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["masks"].shape == (2, 3, 400, 600)
    assert len(names["records"]) > 1


def test_the_python_of_text_prompts_runs(tmp_path, monkeypatch, coffee):
    """With a detector of random weights and a light model in place of those it names."""
    detector = repvit_sam.load_text_detector(save_owl(tmp_path / "detector", "OwlViT"), device="cpu")
    model = repvit_sam.load("small", device="cpu", canvas=256)
    monkeypatch.setattr(repvit_sam, "load_text_detector", lambda name: detector)
    monkeypatch.setattr(repvit_sam, "load", lambda name: model)
    monkeypatch.chdir(tmp_path)
    shutil.copy(PHOTOS / "coffee.jpg", "photo.jpg")
    Path("detections.json").write_text('[{"category_id": 47, "bbox": [170, 12, 255, 270], "score": 0.9}]')
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "text.md").read_text(encoding="utf-8"), re.S)
    names: dict = {}
    exec(compile(blocks[0], "docs/text.md", "exec"), names)
    assert set(names["found"].labels) <= {"cat", "remote control"}
    exec(compile(blocks[1], "docs/text.md", "exec"), names)
    assert names["masks"].shape == (1, 1, 400, 600)
    names |= {"boxes_xyxy": torch.tensor(names["found"].boxes_xyxy), "photo": coffee}
    exec(compile(blocks[2], "docs/text.md", "exec"), names)
    assert names["masks"].shape == (1, 1, 400, 600)


def test_the_python_of_the_backbone_runs():
    (code, start) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "backbone.md").read_text(encoding="utf-8"), re.S
    )
    names: dict = {}
    exec(compile(code, "docs/backbone.md", "exec"), names)
    assert names["network"](torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
    assert "pretrained=" in start


def test_the_commands_of_the_readme_exist():
    from typer.testing import CliRunner

    from repvit_sam.cli import app

    names = ("text", "annotating", "backbone")
    documents = [(ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in names]
    for line in re.findall(r"^(?: {4})?repvit-sam (.*?)(?:\s+#.*)?$", "\n".join([README, *documents]), re.M):
        words = [word for word in line.split()[:2] if word.isalpha() and word not in ("default",)]
        result = CliRunner().invoke(app, [*words, "--help"])
        assert result.exit_code == 0, line
        for option in re.findall(r"--[a-z-]+", line):
            assert option in result.stdout, line


DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/annotating.md",
    "docs/architecture.md",
    "docs/backbone.md",
    "docs/deployment.md",
    "docs/integrations.md",
    "docs/page.md",
    "docs/python.md",
    "docs/reliability.md",
    "docs/scaling.md",
    "docs/text.md",
    "docs/evaluation.md",
    "docs/training.md",
    "weights/README.md",
    "weights/TRAINING_LOG.md",
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.S)
    assert not re.search(r"@[A-Z0-9]+@", text), "a figure is still to be filled in"
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert ((ROOT / name).parent / target).exists(), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_documents_name_exist(name):
    """`eval/clicks.py` in a sentence or a command; names with a folder, so that no file of a reader's is meant."""
    text = (ROOT / name).read_text(encoding="utf-8")
    folders = "repvit_sam|app|distill|eval|benchmarks|examples|tests|docs|weights"
    for path in re.findall(rf"(?<![\w/.-])(?:{folders})/[\w/.-]*\w\.(?:py|js|sh|md|yaml|css|html|safetensors)\b", text):
        assert (ROOT / path).exists(), path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("one_click.py", [PHOTOS / "coffee.jpg", 300, 200, "result.png"]),
        ("detector_boxes.py", [PHOTOS / "coffee.jpg", "result.json", "170,12,425,282", "0,0,90,80"]),
        ("picture_strip.py", ["result.jpg", 2]),
        ("teacher_and_student.py", ["result.jpg", "small", "small"]),
        ("receptive_field.py", ["result.webp", "small", 256]),
    ],
)
def test_the_examples_run(script, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
    runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
    assert list(tmp_path.glob("result.*"))


def test_every_public_name_can_be_imported():
    assert sorted(repvit_sam.__all__) == repvit_sam.__all__ == sorted(repvit_sam._HOMES)
    for name in repvit_sam.__all__:
        assert getattr(getattr(repvit_sam, name), "__name__", name) == name
    with pytest.raises(AttributeError, match="no attribute 'SamPredictr'"):
        repvit_sam.SamPredictr  # noqa: B018


def test_importing_does_nothing_and_loads_nothing_heavy():
    code = "import sys, repvit_sam; sys.exit(any(name in sys.modules for name in ('torch', 'gradio', 'timm')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["README.md", "docs/training.md"])
def test_the_training_commands_name_recipes_and_options_that_exist(name):
    import typer
    from typer.testing import CliRunner

    from repvit_sam.distill import cache_embeddings, plot, train

    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    scripts = {"train": train, "cache_embeddings": cache_embeddings, "plot": plot}
    found = re.findall(r"distill/(train|cache_embeddings|plot)\.py +([^\n#`]*)", text)
    assert len(found) >= 3
    for script, words in found:
        app = typer.Typer()
        app.command()(scripts[script].main)
        known = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).stdout
        for option in re.findall(r"--[a-z-]+", words):
            assert option in known, (script, option)
        if script == "train" and words and not words.startswith("-"):
            assert (ROOT / "distill" / "recipes" / f"{words.split()[0]}.yaml").exists(), words
