"""The small model on a small canvas, and a predictor that encodes each photo once."""

import pytest

import repvit_sam


class CachingPredictor(repvit_sam.SamPredictor):
    """Keeps the embedding of every photo it has encoded."""

    def __init__(self, model):
        super().__init__(model)
        self._known = {}

    def set_image(self, image, image_format="RGB"):
        key = image.tobytes()
        if key not in self._known:
            super().set_image(image, image_format)
            self._known[key] = self.encoded
        self.encoded = self._known[key]


@pytest.fixture(scope="package")
def small_predictor():
    return CachingPredictor(repvit_sam.load("small", device="cpu", canvas=512))
