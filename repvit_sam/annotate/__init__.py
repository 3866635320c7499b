"""Masks for whole data sets: a source is listed, cut into shards, and each shard written as a file."""
