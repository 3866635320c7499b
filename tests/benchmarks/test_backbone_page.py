import json

import pytest

COMMENTS = "<!-- {0}: made by benchmarks/backbone_page.py -->\nold\n<!-- {0}: end -->\n"


@pytest.fixture
def page_of(lines_of, tmp_path):
    """The page and the names of its pictures, made twice from the results of one program in ``tmp_path``."""

    def page_of(name):
        page = tmp_path / "backbone.md"
        page.write_text("before\n" + COMMENTS.format(name) + "after\n")
        places = ("--results", str(tmp_path), "--page", str(page), "--pictures", str(tmp_path / "pictures"))
        for _ in range(2):
            lines_of("backbone_page.py", *places)
        text = page.read_text()
        assert text.startswith("before\n<!--")
        assert text.endswith("-->\nafter\n")
        assert "old" not in text
        return text, {path.name for path in (tmp_path / "pictures").iterdir()}

    return page_of


def test_networks_are_timed_fused_against_unfused_and_put_on_the_page(lines_of, page_of, tmp_path):
    words = ("--network", "repvit_m0_6", "--network", "mobilenetv3_large", "--rounds", "0")
    path = tmp_path / "backbones.json"
    lines = lines_of("backbones.py", *words, "--side", "32", "--side", "64", "--json", str(path))
    assert [line.split(", batch")[0] for line in lines[4:]] == [
        "repvit_m0_6, 32 px",
        "mobilenetv3_large, 32 px",
        "repvit_m0_6, 64 px",
        "mobilenetv3_large, 64 px",
    ]
    counts = json.loads(path.read_text())["settings"]["counts"]["repvit_m0_6"]
    assert (counts["unfused"]["parameters"], counts["fused"]["parameters"]) == (2_487_292, 2_468_072)
    assert counts["fused"]["multiply_adds"]["32"] < counts["unfused"]["multiply_adds"]["32"]
    text, pictures = page_of("backbones")
    assert text.count("| repvit_m0_6 | 2.49 -> 2.47 |") == 1
    assert "| 74.1 | about 0.6 |" in text
    assert pictures == {"backbone_backbones.svg", "backbone_blocks.svg"}


def test_the_ten_steps_are_timed_in_one_run_and_put_on_the_page(lines_of, page_of, tmp_path):
    words = ("--side", "32", "--rounds", "0", "--threads", "1", "--cpu-time")
    lines = lines_of("design.py", *words, "--json", str(tmp_path / "design.json"))
    assert len(lines[4:]) == 10
    assert "iPhone 12 0.65 ms, top-1 not given" in lines[6]
    assert "5.07 M" in lines[-1]
    text, pictures = page_of("design")
    assert text.count("| 9 squeeze-and-excitation in every other block | 5.07 |") == 1
    assert ", cpu, processor time. Medians of 0 rounds" in text
    assert pictures == {"backbone_design.svg", "backbone_blocks.svg"}


def test_wrong_words_and_missing_results_are_named(run, tmp_path):
    assert "--network must be one of repvit_m0_6" in run("backbones.py", "--network", "resnet50")[2]
    assert "--cpu-time is for --threads 1 on the CPU" in run("design.py", "--device", "cuda", "--cpu-time")[2]
    assert "once for each --side, got 1 for 2" in run("backbones.py", "--batch", "4")[2]
    code, _, errors = run("backbone_page.py", "--results", str(tmp_path))
    assert code == 1
    assert "holds no results" in errors
