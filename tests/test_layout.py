"""Rules about the tree that no single module can keep: names, imports, and which way they point."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "distill", "eval")
# what a folder may import of the package beside itself and the library
ALLOWED = {"repvit_sam": set(), "app": set(), "distill": {"eval"}, "eval": set()}
# the commands `demo` and `label` load the page when they are called
EXCEPTIONS = {("repvit_sam/cli/demo.py", "app"), ("repvit_sam/cli/label.py", "app")}


def modules(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def is_program(path):
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


def absolute_imports(path):
    """Dotted names of what a module imports absolutely from this package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("repvit_sam"):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("repvit_sam"))


def folder_of(module):
    part = [*module.split("."), ""][1]
    return part if part in FOLDERS else "repvit_sam"


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_module_shadows_the_standard_library(folder):
    """Python puts a program's own folder first: ``python app/main.py`` with an app/code.py would break pdb."""
    names = {
        path.stem for path in (ROOT / folder).iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert len(names) > 1
    assert not names & sys.stdlib_module_names


@pytest.mark.parametrize("folder", ["repvit_sam", *FOLDERS])
def test_neighbours_are_imported_relatively_except_by_programs(folder):
    for path in modules(folder):
        if not is_program(path):
            own = [module for module in absolute_imports(path) if folder_of(module) == folder]
            assert not own, f"{path.relative_to(ROOT)} imports {own[0]}: write it relatively"


@pytest.mark.parametrize("folder", ["repvit_sam", *FOLDERS])
def test_arrows_point_one_way(folder):
    for path in modules(folder):
        name = path.relative_to(ROOT).as_posix()
        reached = {folder_of(module) for module in absolute_imports(path)} - {folder, "repvit_sam"} - ALLOWED[folder]
        assert {other for other in reached if (name, other) not in EXCEPTIONS} == set(), name


def test_programs_do_not_import_each_other():
    programs = {
        "repvit_sam." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in FOLDERS
        for path in modules(folder)
        if is_program(path)
    }
    for folder in FOLDERS:
        for path in modules(folder):
            assert not programs & set(absolute_imports(path)), path


def test_every_folder_of_modules_is_in_the_wheel():
    packages = re.search(r"^packages = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M | re.S)
    assert packages
    found = {path.parent.relative_to(ROOT) for folder in ("repvit_sam", *FOLDERS) for path in modules(folder)}
    expected = {".".join(parts.parts) for parts in found}
    expected = {name if name.startswith("repvit_sam") else f"repvit_sam.{name}" for name in expected}
    assert expected <= set(re.findall(r'"(.*?)"', packages[1]))
