"""A picture as a data URI, for servers: the file's own bytes where every server reads them alike."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import PIL.Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from xreasoner.errors import DataError

_MOST_BYTES = 8 * 2**20  # of a file that is sent as it is
_FACTOR = 28  # a side is a multiple of it: 14 pixels a patch, 2 x 2 patches a token
_LEAST_PIXELS = 56 * 56  # of Qwen2.5-VL's processor
_ORIENTATION = 0x0112  # EXIF; some servers turn the picture as it says, the local sampler does not


def data_uri(path: str, min_pixels: int | None = None, max_pixels: int | None = None) -> str:
    """`path` as "data:image/png;base64,...". PNG and JPEG files of moderate size go as they are, others as PNG in RGB.

    With bounds, one that lies outside of them is resized here as Qwen2.5-VL's processor would, so that a server whose
    own bounds are wider sees the same pixels. Raises DataError where the picture cannot be read.
    """
    try:
        with PIL.Image.open(path) as picture:
            size = _size(picture, min_pixels, max_pixels)
            if size == picture.size and _plain(picture) and Path(path).stat().st_size <= _MOST_BYTES:
                content, kind = Path(path).read_bytes(), str(picture.format).lower()
            else:
                made, kind = io.BytesIO(), "png"
                pixels = picture.convert("RGB")
                resized = pixels if size == pixels.size else pixels.resize(size, PIL.Image.Resampling.BICUBIC)
                resized.save(made, "png")
                content = made.getvalue()
    # Pillow's decoders raise SyntaxError and ValueError on torn files; smart_resize refuses extreme shapes
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"The image {path} cannot be read ({error}): restore it or leave the row out.") from error
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _size(picture: PIL.Image.Image, least: int | None, most: int | None) -> tuple[int, int]:
    if least is None and most is None:
        return picture.size
    width, height = picture.size
    least = _LEAST_PIXELS if least is None else least
    most = max(least, width * height) if most is None else most
    if least <= round(height / _FACTOR) * round(width / _FACTOR) * _FACTOR**2 <= most:
        return picture.size  # what the processor itself rounds a little
    height, width = smart_resize(height, width, _FACTOR, least, most)
    return width, height


def _plain(picture: PIL.Image.Image) -> bool:
    """Whether every reader sees the same colours the same way up."""
    plain = picture.format in ("PNG", "JPEG") and picture.mode in ("RGB", "L")
    return plain and picture.getexif().get(_ORIENTATION, 1) == 1
