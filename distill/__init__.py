"""Distillation: photos -> teacher's embeddings -> a student that makes the same, and masks people trust."""
