"""``python -m repvit_sam.cli``: the same as ``repvit-sam``."""

from repvit_sam.cli import main

if __name__ == "__main__":
    main()
