"""What annotate writes, and reads again: COCO JSON, Parquet, PNG label maps, SA-1B-like JSON."""
