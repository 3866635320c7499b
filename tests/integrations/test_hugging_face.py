"""transformers' ``SamProcessor`` around our model's parts: docs/integrations.md has these lines.

transformers is not installed for development; the test runs where it is.
"""

import numpy as np
import pytest
import torch
from PIL import Image

import repvit_sam

from ..conftest import PHOTOS


@torch.no_grad()
def test_the_processors_tensors_go_through_the_models_parts():
    transformers = pytest.importorskip("transformers")
    model = repvit_sam.load("small", device="cpu")
    photo = Image.open(PHOTOS / "coffee.jpg")
    processor = transformers.SamProcessor(transformers.SamImageProcessor())
    inputs = processor(photo, input_points=[[[300, 200]]], return_tensors="pt")
    image_embeddings = model.image_encoder(inputs["pixel_values"])
    labels = torch.ones(1, 1, dtype=torch.int)
    sparse, dense = model.prompt_encoder(points=(inputs["input_points"][0].float(), labels), boxes=None, masks=None)
    logits, scores = model.mask_decoder(image_embeddings, model.prompt_encoder.get_dense_pe(), sparse, dense, True)
    (masks,) = processor.image_processor.post_process_masks(
        logits[None], inputs["original_sizes"], inputs["reshaped_input_sizes"]
    )
    predictor = repvit_sam.SamPredictor(model)
    predictor.set_image(photo)
    expected, ious, _ = predictor.predict([[300, 200]], [1])
    assert masks.shape == (1, 3, 400, 600)
    assert np.count_nonzero(masks[0].numpy() != expected) <= 3
    np.testing.assert_allclose(scores[0], ious, atol=1e-3)
