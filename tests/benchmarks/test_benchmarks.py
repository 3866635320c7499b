import json
import re

import pytest

import repvit_sam


@pytest.fixture(scope="session")
def light(tmp_path_factory):
    """Options for a checkpoint that is fast: ``small`` on a canvas of 256, from a file; one round."""
    path = tmp_path_factory.mktemp("light") / "light.safetensors"
    repvit_sam.load("small", device="cpu", fuse=False, canvas=256).save(path)
    return "--checkpoint", str(path)


def ratios(lines):
    """Of the lines after command, machine, versions and heading: the word that ends in x."""
    assert lines[0].startswith("$ python benchmarks/")
    assert "cores" in lines[1]
    assert "torch " in lines[2]
    found = [
        [float(word[:-1]) for word in line.split() if word[:1].isdigit() and word.endswith("x")] for line in lines[4:]
    ]
    assert all(ratio > 0 for row in found for ratio in row)
    return [len(row) for row in found]


def test_encoding_is_set_against_the_published_code_and_the_limit(lines_of, light, tmp_path):
    path = tmp_path / "encode.json"
    words = ("--engine", "torch", "--side", "128", "--rounds", "0", "--json", str(path))
    lines = lines_of("encode.py", *light, *words)
    assert ratios(lines) == [1]
    content = json.loads(path.read_text())
    assert sorted(content) == ["command", "machine", "rows", "settings", "versions"]
    (row,) = content["rows"]
    assert row["ratio"] == pytest.approx(row["reference"] / row["ours"])
    assert re.search(r"\d GMAC, at least fp32 \d+ ms(, bf16 \d+ ms)?$", row["notes"])
    assert content["machine"]["processor"]
    assert content["settings"]["gmac_a_second_fp32"] > 0


def test_a_click_and_boxes_are_set_against_segment_anything(lines_of, light):
    assert ratios(lines_of("clicks.py", *light, "--rounds", "0")) == [1, 1, 1]
    lines = lines_of("prompt_count.py", *light, "--rounds", "0", "--count", "1", "--count", "3")
    assert ratios(lines) == [1, 1]
    assert lines[-1].startswith("3 boxes")


def test_large_photos_are_opened_and_clicked(lines_of, light):
    lines = lines_of("photo_size.py", *light, "--rounds", "0", "--megapixels", "0.1")
    assert [line.split()[0] for line in lines[4:]] == ["open", "click"]


def test_a_folder_is_timed_overlapped_and_one_by_one(lines_of, light):
    lines = lines_of("folder.py", *light, "--rounds", "0", "--count", "2")
    assert [line.split(",")[3].split()[0:2] for line in lines[4:]] == [["against", "published"], ["against", "one"]]


@pytest.mark.slow
def test_everything_mode_is_compared_in_time_memory_and_masks(lines_of, light):
    lines = lines_of(
        "everything.py", *light, "--mode", "exact", "--points-per-side", "4", "--pred-iou", "0.6", "--stability", "0.7"
    )
    theirs, ours, known, kept = map(int, re.findall(r"(\d+) (?:and|masks|of)", lines[4]))
    assert theirs == ours == known == kept > 0
    assert "MiB" in lines[5]


def test_memory_is_that_of_a_process_of_its_own(lines_of, light):
    (line,) = lines_of("memory.py", *light, "--work", "load")[4:]
    assert line.startswith("peak memory: load")
    assert 100 < float(line.split("MiB")[0].split()[-1]) < 4000


def test_a_work_that_is_none_is_named(run):
    code, _, errors = run("memory.py", "--work", "sing")
    assert code == 1
    assert "--work must be one of load, open, click, boxes, everything, got sing" in errors


def test_start_up_is_timed_in_whole_processes(lines_of):
    lines = lines_of("startup.py", "--no-masks", "--rounds", "0")
    assert [line.split("  ")[0] for line in lines[4:]] == ["import", "repvit-sam --help"]


def test_the_table_and_two_plots_are_made_again(lines_of, run, light, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- speed: made by benchmarks/publish.py -->\nold\n<!-- speed: end -->\nafter\n")
    for name, words in {"prompt_count": ("--count", "1"), "encode": ("--side", "64")}.items():
        lines_of(f"{name}.py", *light, "--rounds", "0", *words, "--json", str(tmp_path / f"{name}.json"))
    places = ("--results", str(tmp_path), "--readme", str(readme), "--pictures", str(tmp_path / "pictures"))
    for _ in range(2):
        lines_of("publish.py", *places)
    text = readme.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("-->\nafter\n")
    assert "old" not in text
    assert text.count("| 1 boxes") == 1
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["prompt_count.svg", "speed.svg"]
    readme.write_text("no comments")
    assert "must have the lines" in run("publish.py", *places)[2]
    assert "run make bench first" in run("publish.py", *places, "--results", str(tmp_path / "none"))[2]


def test_caching_and_training_are_set_against_the_machines_limit(lines_of):
    words = ["--teacher", "vit_t", "--student", "repvit_m0_9", "--canvas", "128", "--batch", "1", "--side", "256"]
    title, *rows = lines_of("training.py", *words, "--rounds", "1", "--device", "cpu")
    assert "TFLOP/s of matrices" in title
    assert [row.split()[0] for row in rows] == ["caching", "training"]
    assert all("img/s of at most" in row for row in rows)


@pytest.mark.slow
def test_sizes_of_exports_shrink_with_the_precision_and_packages_are_compared(lines_of):
    words = ["repvit_m0_9", "--canvas", "128", "--coreml", "fp16", "--onnx", "fp32", "--onnx", "int8"]
    rows = {(line[:14].strip(), line[15:31].strip()): line[32:] for line in lines_of("export_sizes.py", *words)}
    megabytes = {label: float(text.split()[0]) for label, text in rows.items()}
    assert [label for label in rows if label[0] == "decoder"] == [("decoder", "Core ML fp16"), ("decoder", "ONNX fp32")]
    assert megabytes["repvit_m0_9", "Core ML fp16"] < 0.6 * megabytes["repvit_m0_9", "ONNX fp32"]
    assert megabytes["repvit_m0_9", "ONNX int8"] < 0.5 * megabytes["repvit_m0_9", "ONNX fp32"]
    assert "masks agree to IoU" in rows["repvit_m0_9", "Core ML fp16"]


def test_a_precision_that_is_none_is_named(run):
    code, _, errors = run("export_sizes.py", "--coreml", "fp8")
    assert code == 1
    assert "--coreml must be one of fp16, fp32, palette8, linear8, got fp8" in errors


def test_the_bookkeeping_of_annotate_is_timed_without_images(lines_of, tmp_path):
    path = tmp_path / "figures.json"
    lines = lines_of("annotate_bookkeeping.py", "--images", "1000", "--json", str(path))
    figures = json.loads(path.read_text())
    assert (figures["images"], figures["shards"]) == (1000, 16)
    assert set(figures["bytes"]) == {"plan.index", "plan.json", "plan.jsonl", "records-0.jsonl", "settings.json"}
    assert lines[-1] == "1,000 images, 16 shards, 1 failed"
