"""A run on disk: recipe, state to continue from, weights, figures.

RUN/recipe.yaml          as resolved, with git commit and data manifest in run.json beside it
RUN/state.pt             everything to continue exactly where it stopped
RUN/last.safetensors     the moving average of the weights, readable by the library (fp16)
RUN/best.safetensors     the same at the best validation so far
RUN/figures.jsonl        one line a validation
RUN/tensorboard/         curves and pictures
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

import repvit_sam
from repvit_sam.files import atomic_write
from repvit_sam.modeling.sam import SamModel

from ..recipe import Recipe, RecipeError

Parts = dict[str, Any]  # nested dicts, lists, numbers, strings and tensors: what torch.load(weights_only=True) reads


@dataclass
class TrainerState:
    """How far a run is.

    Attributes:
        stage: index of the current one; the number of stages when all are done.
        step: steps done in the stage; images: photos (or windows) seen in the whole run.
        seconds: of work in the stage.
        best: the largest merit (figures.py) so far.
        variance: of the teacher's embedding, by which its error is divided; measured once, 0 before that.
    """

    stage: int = 0
    step: int = 0
    images: int = 0
    seconds: float = 0.0
    best: float = float("-inf")
    variance: float = 0.0


class RunFolder:
    """See the module. Only the first rank writes."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path, self._recipe = path, recipe
        if self.has_state and not _same_recipe((path / "recipe.yaml").read_text(encoding="utf-8"), recipe.as_yaml()):
            raise RecipeError(f"{path} holds a run of another recipe; take another --out folder, or remove that one")

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Write run.json and recipe.yaml; a run that continues must see the same photos.

        Raises:
            RecipeError: the photos are not those of the beginning.
        """
        about = self.path / "run.json"
        if self.has_state:
            before = json.loads(about.read_text(encoding="utf-8"))["data"]
            if before != json.loads(json.dumps(dict(manifest))):
                raise RecipeError(f"the photos have changed since {self.path} began; take another --out folder")
            return
        self.path.mkdir(parents=True, exist_ok=True)
        facts = {"commit": git_commit(), "repvit_sam": repvit_sam.__version__, "torch": torch.__version__}
        with atomic_write(about) as beside:
            beside.write_text(json.dumps({**facts, "data": dict(manifest)}, indent=1) + "\n", encoding="utf-8")
        with atomic_write(self.path / "recipe.yaml") as beside:
            beside.write_text(self._recipe.as_yaml(), encoding="utf-8")

    @property
    def has_state(self) -> bool:
        return (self.path / "state.pt").exists()

    def save_state(self, state: TrainerState, parts: Parts) -> None:
        with atomic_write(self.path / "state.pt") as beside:
            torch.save({"position": asdict(state), **parts}, beside)

    def load_state(self) -> tuple[TrainerState, Parts]:
        parts = torch.load(self.path / "state.pt", map_location="cpu", weights_only=True)
        return TrainerState(**parts.pop("position")), parts

    def save_weights(self, name: str, student: SamModel, state: TrainerState, figures: Mapping[str, float]) -> Path:
        """Write the model so that ``repvit_sam.load`` reads it, recipe and origin in its metadata."""
        path = self.path / f"{name}.safetensors"
        facts = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        provenance = {
            "made_by": f"distill/train.py of repvit-sam {repvit_sam.__version__}, commit {git_commit()}",
            "teacher": Path(self._recipe.teacher.checkpoint).name,
            "started_from": Path(self._recipe.student.start or "nothing").name,
            "data": json.dumps(facts["data"]),
            "recipe": yaml.safe_dump(without_folders(self._recipe.model_dump(mode="json")), sort_keys=False),
            "images": str(state.images),
            "figures": json.dumps({key: round(value, 4) for key, value in figures.items()}),
        }
        student.save(path, half=True, provenance=provenance)
        return path

    def log_figures(self, figures: Mapping[str, Any]) -> None:
        with (self.path / "figures.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(dict(figures)) + "\n")

    def figures(self) -> list[dict[str, Any]]:
        path = self.path / "figures.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def save_nonfinite_batch(self, batch: Mapping[str, Any], rank: int) -> Path:
        path = self.path / f"nonfinite_batch_{rank}.pt"
        with atomic_write(path) as beside:
            torch.save(dict(batch), beside)
        return path


def _same_recipe(one: str, other: str) -> bool:
    """Whether two YAML texts are the same but for ``about``, which decides nothing."""
    return bool({**yaml.safe_load(one), "about": ""} == {**yaml.safe_load(other), "about": ""})


def without_folders(value: Any) -> Any:
    """The same nested values, every path cut to its last name: weights are published, folders of a machine are not."""
    if isinstance(value, dict):
        return {key: without_folders(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_folders(part) for part in value]
    return Path(value).name if isinstance(value, str) and "/" in value and " " not in value else value


def git_commit() -> str:
    """The commit of the code, "-dirty" behind it where files differ, "unknown" outside a checkout."""
    here = Path(__file__).parent
    try:
        words = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
