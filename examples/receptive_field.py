"""What a cell of the image embedding sees of the canvas, drawn: python examples/receptive_field.py receptive.webp

* By its convolutions: the square that their kernels and strides reach (Araujo et al., "Computing Receptive Fields of
  Convolutional Neural Networks", Distill 2019).
* In effect: the gradient of the middle cell with respect to the photo (Luo et al., arXiv 1701.04128), once as the
  network is, and once with every squeeze-and-excitation held at the gates of this photo, so that only convolutions
  carry it.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from timm.layers import SqueezeExcite
from torch import Tensor, nn

import repvit_sam
from repvit_sam.canvas import fit_photo, normalise_and_pad, resize_photo
from repvit_sam.photo import Photo


def side_by_convolutions(encoder: nn.Module) -> int:
    """Side in pixels of the square of the canvas that reaches one cell through convolutions, edges not counted.

    Args:
        encoder: fused, so that its convolutions follow each other.
    """
    side, step = 1, 1  # pixels that one value sees, and pixels between two neighbouring values
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            side += (module.kernel_size[0] - 1) * step
            step *= module.stride[0]
    return side


def gradient_of_middle(encoder: nn.Module, canvas: Tensor, frozen_gates: bool = False) -> NDArray[np.float64]:
    """How much each pixel moves the middle cell of the embedding, as far as a first derivative says it.

    Args:
        encoder: canvas -> embedding (1, C, grid, grid).
        canvas: (1, 3, S, S), normalised.
        frozen_gates: squeeze-and-excitation multiplies by the gates of this canvas, and carries no gradient.

    Returns:
        (S, S), the absolute gradient over the three colours, of the sum of squares of the cell's values.
    """
    hooks = []
    if frozen_gates:
        squeezes = [module for module in encoder.modules() if isinstance(module, SqueezeExcite)]
        hooks = [squeeze.gate.register_forward_hook(lambda gate, inputs, out: out.detach()) for squeeze in squeezes]
    canvas = canvas.clone().requires_grad_()
    embedding = encoder(canvas)
    middle = embedding.shape[-1] // 2
    embedding[0, :, middle, middle].square().sum().backward()
    for hook in hooks:
        hook.remove()
    assert canvas.grad is not None
    return canvas.grad[0].abs().sum(0).double().numpy()


def share_outside(gradient: NDArray[np.float64], side: int) -> float:
    """The part of the gradient outside a square of an odd side around the middle."""
    first, last = _square(gradient.shape[0], side)
    return 1 - float(gradient[max(0, first) : last, max(0, first) : last].sum() / gradient.sum())


def _square(size: int, side: int) -> tuple[int, int]:
    """First pixel of a square around the middle cell's middle, and the one after its last.

    With a kernel of 3, a stride of 2 and one pixel of padding, a value lies where its stride times its number is.
    """
    return size // 2 - side // 2, size // 2 + side // 2 + 1


def draw(photo: Photo, maps: dict[str, NDArray[np.float64]], side: int, path: Path) -> None:
    """The photo, and beside it the gradients in powers of ten below their largest; the square of the convolutions.

    Args:
        photo: (h, w, 3), at its size on the canvas.
        maps: title -> gradient (S, S).
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    figure, axes = pyplot.subplots(1, 1 + len(maps), figsize=(13, 4.4), layout="constrained")
    size = next(iter(maps.values())).shape[0]
    axes[0].imshow(photo, extent=(0, photo.shape[1], photo.shape[0], 0))
    axes[0].add_patch(Rectangle((size // 2 - 8, size // 2 - 8), 16, 16, fill=False, color="#36c5f0", linewidth=2))
    axes[0].set_title("photo on the canvas, and the cell")
    for place, (title, gradient) in zip(axes[1:], maps.items(), strict=True):
        blocks = gradient.reshape(size // 8, 8, size // 8, 8).mean((1, 3))  # means of 8 x 8 pixels
        shown = np.log10(np.maximum(blocks / blocks.max(), 1e-6))
        image = place.imshow(shown, cmap="magma", vmin=-6, vmax=0, extent=(0, size, size, 0))
        place.set_title(title)
    first, last = _square(size, side)
    for place in axes:
        square = Rectangle((first, first), last - first, last - first, fill=False, color="#36c5f0", lw=1.5, ls="--")
        square.set_label(f"what convolutions reach: {side} pixels")
        place.add_patch(square)
        place.set(xlim=(0, size), ylim=(size, 0), xlabel="pixels of the canvas")
    axes[0].legend(handles=[square], loc="lower left")
    figure.colorbar(image, ax=axes[-1], label="gradient, powers of ten below the largest", shrink=0.85)
    figure.savefig(path, dpi=72)


def main(picture_path: str, checkpoint: str = "small", canvas_size: str = "1024") -> None:
    model = repvit_sam.load(checkpoint, "cpu", canvas=int(canvas_size)).requires_grad_(False)
    photo = repvit_sam.read_photo(repvit_sam.example_photo("coffee"))
    content = resize_photo(photo, fit_photo((photo.shape[0], photo.shape[1]), model.canvas_size))
    canvas = torch.from_numpy(normalise_and_pad(content, model.canvas_size))
    encoder, side = model.image_encoder, side_by_convolutions(model.image_encoder)
    maps = {
        "gradient of the cell": gradient_of_middle(encoder, canvas),
        "the same, squeeze-and-excitation held": gradient_of_middle(encoder, canvas, frozen_gates=True),
    }
    print(f"{model.variant} on {model.canvas_size}: its convolutions reach {side} pixels")
    for name, gradient in maps.items():
        near, far = 1 - share_outside(gradient, 129), share_outside(gradient, side)
        print(f"{name}: {near:.0%} within 129 pixels, {far:.2%} beyond {side}")
    draw(content, maps, side, Path(picture_path))


if __name__ == "__main__":
    main(*sys.argv[1:])
