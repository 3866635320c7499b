"""Stages: each a module whose forward turns a batch into named losses, of which ``loss`` is minimised."""

from __future__ import annotations

from torch import nn

from repvit_sam.modeling.sam import SamModel

from ..recipe import EncoderStage, MasksStage, PromptsStage, Stage
from .encoder import EncoderLosses
from .mask_teacher import MaskTeacher
from .masks import MaskLosses
from .prompts import PromptLosses


def build_stage(stage: Stage, student: SamModel, teacher: MaskTeacher, variance: float, seed: int) -> nn.Module:
    """The module for a stage of a recipe; ``variance`` is that of the teacher's embedding."""
    if isinstance(stage, EncoderStage):
        return EncoderLosses(student, stage, variance, seed)
    if isinstance(stage, PromptsStage):
        return PromptLosses(student, teacher, stage, variance, seed)
    assert isinstance(stage, MasksStage)
    return MaskLosses(student, stage, seed)
