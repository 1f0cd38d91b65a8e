"""How tests look at pictures: what is kept of one, or why it is refused."""

import io

import PIL.Image
import pytest

from xreasoner.data.fates import Unfit
from xreasoner.eval.pictures import Pictures

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)
QUARTERS = {(0, 0): RED, (1, 0): GREEN, (0, 1): BLUE, (1, 1): WHITE}


def quartered(width=32, height=16):
    """Red and green above, blue and white below."""
    picture = PIL.Image.new("RGB", (width, height))
    for (x, y), colour in QUARTERS.items():
        picture.paste(colour, (x * width // 2, y * height // 2, (x + 1) * width // 2, (y + 1) * height // 2))
    return picture


def encoded(picture, kind="PNG", **options):
    out = io.BytesIO()
    picture.save(out, format=kind, **options)
    return out.getvalue()


def corners(picture):
    """The colours of its four quarters, from the upper left on, by row."""
    x, y = picture.width // 4, picture.height // 4
    rgb = picture.convert("RGB")
    return [rgb.getpixel(at) for at in ((x, y), (3 * x, y), (x, 3 * y), (3 * x, 3 * y))]


def near(colours, wanted, within=6):
    return all(abs(a - b) <= within for x, y in zip(colours, wanted, strict=True) for a, b in zip(x, y, strict=True))


def kept_in(folder):
    """A function that gives the picture that is kept of a value; names are looked for in folder/home and its archives.
    What is kept is a file that every reader shows alike."""

    def keep(value):
        path = _pictures(folder, "kept").keep(value).path
        with PIL.Image.open(path) as picture:
            assert (picture.format, path[-4:]) in (("PNG", ".png"), ("JPEG", ".jpg"))
            assert picture.mode in ("RGB", "L")
            assert picture.getexif().get(0x0112, 1) == 1
            assert not picture.has_transparency_data
            picture.load()
            return picture.copy()

    return keep


def refused_in(folder):
    """A function that tells why a value is refused; nothing is written then."""

    def why(value):
        with pytest.raises(Unfit) as caught:
            _pictures(folder, "refused").keep(value)
        assert caught.value.reason == "image"
        assert not (folder / "refused").exists()
        assert " object at 0x" not in caught.value.detail
        return caught.value.detail

    return why


def _pictures(folder, name):
    home = folder / "home"
    return Pictures(folder / name, [home, *sorted(home.glob("*.zip"))])
