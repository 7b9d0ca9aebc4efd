"""One image file as bytes of pixels; its size is looked at before it is decoded."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from phyemu.errors import DatasetError

__all__ = ["IMAGE_SUFFIXES", "decode_image"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
"""Names of image files end so, in small letters."""

_FORMATS = ("JPEG", "PNG", "BMP")
_MAX_SIDE = 1024


def decode_image(
    content: bytes,
    *,
    where: str,
    expected: tuple[int, int, int] | None = None,
    like: str = "the first image",
) -> NDArray[np.uint8]:
    """Return the pixels of an image, (height, width, channels).

    Args:
        content: The file.
        where: Its name, for messages.
        expected: What the shape has to be; None: any. One channel is grey, three are RGB.
        like: What has that shape, for messages.

    Raises:
        DatasetError: It cannot be decoded, is too large, or of another shape.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            grey = image.mode in ("1", "L")
            shape = (image.height, image.width, 1 if grey else 3)
            if max(shape) > _MAX_SIDE:
                raise DatasetError(f"{where}: {image.width}x{image.height} is beyond {_MAX_SIDE}")
            if expected is not None and shape != expected:
                raise DatasetError(
                    f"{where}: {shape[1]}x{shape[0]} with {shape[2]} channels, but {like} "
                    f"has {expected[1]}x{expected[0]} with {expected[2]}; bring it to that"
                )
            return np.asarray(image.convert("L" if grey else "RGB")).reshape(shape)
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
    ) as exc:
        raise DatasetError(f"{where}: cannot be decoded as an image ({exc})") from exc
