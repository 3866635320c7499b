"""The checkpoints that come with the package; README.md says what each is."""
