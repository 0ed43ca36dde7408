"""Small pictures of a patch, of its map and of its compartments, as the bytes of image files (pure)."""

from io import BytesIO
from typing import Any, Final

import numpy as np
from PIL import Image

from saliency_stats.typing import FloatArray, UInt8Array

#: The display of a map (never a number) is cut at this percentile, so that a few bright pixels do not hide the rest.
DISPLAY_PERCENTILE: Final = 99.5
#: Compartment codes are stored this far apart: a reader that changes a grey level a little still tells them apart.
CODE_STEP: Final = 85
#: JPEG quality of images, and of maps, whose noise would take most of the bytes.
_IMAGE_QUALITY, _MAP_QUALITY = 75, 45


def display_top(saliency: FloatArray) -> float:
    """Return the value of a raw map that is shown as the brightest; 0 where it holds no number."""
    finite = saliency[np.isfinite(saliency)]
    return float(np.percentile(finite, DISPLAY_PERCENTILE)) if finite.size else 0.0


def image_thumbnail(image: UInt8Array, side_px: int) -> bytes:
    """Return an image (H, W, 3) as a JPEG whose longer side has at most ``side_px`` pixels; none is enlarged."""
    return _encoded(_reduced(image, side_px, Image.Resampling.BOX), "JPEG", quality=_IMAGE_QUALITY)


def map_thumbnail(saliency: FloatArray, side_px: int) -> bytes:
    """Return a map (H, W), finite and not negative, as a grey JPEG: black is 0, white :func:`display_top` and above."""
    grey = np.rint(255 * np.clip(saliency / (display_top(saliency) or 1.0), 0.0, 1.0)).astype(np.uint8)
    return _encoded(_reduced(grey, side_px, Image.Resampling.BOX), "JPEG", quality=_MAP_QUALITY)


def code_thumbnail(codes: UInt8Array, side_px: int) -> bytes:
    """Return compartment codes (H, W) as a PNG of their multiples of :data:`CODE_STEP`."""
    return _encoded(_reduced(codes * np.uint8(CODE_STEP), side_px, Image.Resampling.NEAREST), "PNG")


def _reduced(pixels: UInt8Array, side_px: int, resampling: Image.Resampling) -> Image.Image:
    height, width = pixels.shape[:2]
    shrink = min(1.0, side_px / max(height, width))
    return Image.fromarray(pixels).resize((max(1, round(shrink * width)), max(1, round(shrink * height))), resampling)


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    picture.save(stream, format=kind, **options)
    return stream.getvalue()
