"""Evaluation: one script a question, shared parts beside them."""
