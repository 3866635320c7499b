"""What annotate reads: folders, globs, lists, tars, Parquet, COCO JSON, a detector's results."""
