"""Pictures that are hostile: what is kept looks to a viewer as the original does, the rest is refused with a reason."""

import io
import struct
import subprocess
import sys
import zlib

import PIL.EpsImagePlugin
import PIL.Image
import PIL.ImageFile
import pytest
from fixture_rows import cell, png
from picture_looks import BLUE, GREEN, QUARTERS, RED, WHITE, corners, encoded, kept_in, near, quartered, refused_in

from xreasoner.eval.pictures import MOST_PIXELS, Pictures


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def kept(tmp_path, home):
    return kept_in(tmp_path)


@pytest.fixture
def why(tmp_path, home):
    return refused_in(tmp_path)


# What is kept looks the same


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG", "PPM"])
def test_every_kind_keeps_its_colours_and_their_places(kind, kept):
    lossy = {"lossless": True} if kind == "WEBP" else {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
    picture = kept(encoded(quartered(), kind, **lossy))
    assert picture.size == (32, 16)
    assert near(corners(picture), QUARTERS.values())


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpg")])
def test_what_every_reader_shows_alike_is_kept_byte_by_byte(kind, suffix, tmp_path):
    data = encoded(quartered(), kind)
    path = Pictures(tmp_path).keep(data).path
    assert path.endswith(suffix)
    with open(path, "rb") as file:
        assert file.read() == data


UPRIGHT = [RED, GREEN, BLUE, WHITE]


def stored(orientation):
    """The quarters as a camera stores them that was held so: turned the way EXIF says, they are upright."""
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's: 0 and 1 flip, 2 to 4 rotate counterclockwise by 90
    picture = quartered()
    return picture if orientation == 1 else picture.transpose(PIL.Image.Transpose(turns[orientation]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_whatever_its_exif(orientation, kind, kept):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    lossy = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}.get(kind, {})
    data = encoded(stored(orientation), kind, exif=exif.tobytes(), **lossy)
    with PIL.Image.open(io.BytesIO(data)) as raw:
        assert (raw.size == (16, 32)) == (orientation >= 5 and kind != "TIFF")  # which Pillow turns itself
    picture = kept(data)
    assert picture.size == (32, 16)
    assert near(corners(picture), UPRIGHT)


def test_the_turns_are_those_of_the_exif_standard(kept):
    """By hand: 6 is "the row 0 is at the right side, the column 0 at the top"."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    picture = kept(encoded(quartered(), exif=exif.tobytes()))
    assert picture.size == (16, 32)
    assert corners(picture) == [BLUE, RED, WHITE, GREEN]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0garbage", b"Exif\0\0"])
def test_broken_exif_is_no_reason_not_to_look(exif, kept):
    assert near(corners(kept(encoded(quartered(), "JPEG", exif=exif, quality=98, subsampling=0))), UPRIGHT)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation, kept):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    assert corners(kept(encoded(quartered(), exif=exif.tobytes()))) == UPRIGHT


def test_cmyk_has_the_colours_that_viewers_show(kept):
    data = encoded(quartered().convert("CMYK"), "JPEG", quality=98, subsampling=0)
    assert b"Adobe" in data, "inverted, as Adobe and all others write it"
    picture = kept(data)
    assert picture.mode == "RGB"
    assert near(corners(picture), UPRIGHT)
    assert corners(kept(encoded(quartered().convert("CMYK"), "TIFF"))) == UPRIGHT


def test_cmyk_without_adobes_mark_is_taken_for_inverted_too_as_viewers_do(kept):
    data = encoded(quartered().convert("CMYK"), "JPEG", quality=98, subsampling=0)
    start = data.index(b"\xff\xee")
    (length,) = struct.unpack(">H", data[start + 2 : start + 4])
    assert near(corners(kept(data[:start] + data[start + 2 + length :])), UPRIGHT)


def test_the_profile_of_cmyk_does_not_go_with_its_colours_in_rgb(tmp_path):
    data = encoded(quartered().convert("CMYK"), "JPEG", icc_profile=b"a profile of cmyk")
    with PIL.Image.open(Pictures(tmp_path).keep(data).path) as picture:
        assert "icc_profile" not in picture.info
    data = encoded(quartered().convert("P"), icc_profile=b"a profile of rgb")
    with PIL.Image.open(Pictures(tmp_path).keep(data).path) as picture:
        assert picture.info["icc_profile"] == b"a profile of rgb"


def test_a_palette_and_what_is_transparent_on_white(kept):
    palette = quartered().quantize(4)
    assert corners(kept(encoded(palette))) == UPRIGHT
    red = palette.getpixel((1, 1))
    assert corners(kept(encoded(palette, transparency=red))) == [WHITE, GREEN, BLUE, WHITE]
    assert corners(kept(encoded(palette, "GIF", transparency=red))) == [WHITE, GREEN, BLUE, WHITE]
    half = PIL.Image.new("RGBA", (32, 16), (255, 0, 0, 128))
    assert near(corners(kept(encoded(half))), [(255, 127, 127)] * 4, within=1)
    assert corners(kept(encoded(PIL.Image.new("LA", (32, 16), (0, 0))))) == [WHITE] * 4
    assert corners(kept(encoded(quartered(), transparency=RED))) == [WHITE, GREEN, BLUE, WHITE]
    assert corners(kept(encoded(PIL.Image.new("L", (32, 16), 7), transparency=7))) == [WHITE] * 4
    assert corners(kept(encoded(PIL.Image.new("1", (32, 16), 1)))) == [WHITE] * 4


def deep(mode, *levels):
    """Grey with four columns at each level."""
    code = {"I;16": "<H", "I;16B": ">H", "I": "=i", "F": "=f"}[mode]
    row = b"".join(4 * struct.pack(code, level) for level in levels)
    return PIL.Image.frombytes(mode, (4 * len(levels), 8), 8 * row)


def greys(picture, n):
    assert picture.mode == "L"
    return [picture.getpixel((4 * i + 1, 4)) for i in range(n)]


@pytest.mark.parametrize(
    ("mode", "kind", "levels", "shown"),
    [
        ("I;16", "PNG", (0, 257 * 100, 65535), [0, 100, 255]),
        ("I;16", "TIFF", (257 * 20, 257 * 30), [20, 30]),  # as a viewer has it: not stretched
        ("I;16B", "TIFF", (0, 257 * 100, 65535), [0, 100, 255]),
        ("I;16", "PNG", (0, 2048, 4095), [0, 128, 255]),  # 12 bits, as scanners write them
        ("I;16", "PNG", (257 * 90, 257 * 90), [90, 90]),
        ("I", "TIFF", (-1000, 0, 1000), [0, 128, 255]),  # Hounsfield units
        ("F", "TIFF", (0.0, 0.5, 1.0), [0, 128, 255]),
        ("F", "TIFF", (-5.0, -5.0), [0, 0]),
    ],
)
def test_deep_grey_has_the_brightness_of_a_viewer(mode, kind, levels, shown, kept):
    assert greys(kept(encoded(deep(mode, *levels), kind)), len(levels)) == shown


def test_brightness_that_is_no_number_is_refused(why):
    for value in (float("nan"), float("inf")):
        assert why(encoded(PIL.Image.new("F", (8, 8), value), "TIFF")) == (
            "holds a picture whose brightness is no number."
        )


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_picture_is_kept(kind, kept, tmp_path):
    frames = [PIL.Image.new("RGB", (16, 16), colour) for colour in (BLUE, RED)]
    data = encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    picture = kept(data)
    assert corners(picture) == [BLUE] * 4
    assert getattr(picture, "n_frames", 1) == 1
    assert (tmp_path / "kept").exists()
    assert b"acTL" not in next((tmp_path / "kept").iterdir()).read_bytes()


def test_of_a_cameras_two_pictures_in_one_file_the_first_is_kept(kept):
    large, small = (PIL.Image.new("RGB", (16, 16), colour) for colour in (BLUE, RED))
    data = encoded(large, "MPO", save_all=True, append_images=[small])
    with PIL.Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "MPO"
    assert near(corners(kept(data)), [BLUE] * 4)


def test_a_picture_is_kept_once(tmp_path):
    pictures = Pictures(tmp_path)
    assert pictures.keep(cell("red", "a.png")) == pictures.keep(cell("red", "b.png")) != pictures.keep(cell("blue"))
    assert len(list(tmp_path.iterdir())) == 2


# Size


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((1, 1), "1 x 1 pixels, on which there is nothing to see"),
        ((3, 500), "3 x 500 pixels, on which there is nothing to see"),
        ((20_000, 30), "a strip of 20000 x 30 pixels"),
        ((30, 20_000), "a strip of 30 x 20000 pixels"),
    ],
)
def test_what_nobody_could_look_at_is_refused(size, words, why):
    for kind in ("PNG", "JPEG"):
        assert words in why(png(size=size, kind=kind))


def test_the_smallest_picture_and_the_longest_strip_are_kept(kept):
    assert kept(png(size=(4, 4))).size == (4, 4)
    assert kept(png(size=(400, 4))).size == (400, 4)


def vast_png(side, bits=1):
    """A true PNG of black and white of so many pixels a side, written without holding it."""
    row = b"\0" + bytes(side * bits // 8)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row * 500) for _ in range(side // 500)) + packer.flush()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def vast_jpeg(side):
    """The beginning of a JPEG of so many pixels a side."""
    data = encoded(PIL.Image.new("L", (64, 64)), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]


@pytest.mark.parametrize("vast", [vast_png, vast_jpeg])
def test_20000_pixels_a_side_are_refused_before_they_are_decoded(vast, why, monkeypatch):
    monkeypatch.setattr(PIL.ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    assert why(vast(20_000)) == "holds a picture of over 100 million pixels."


def test_just_more_than_can_be_made_smaller_is_refused_with_its_size(why):
    assert why(vast_png(10_500)) == "holds a picture of 110 million pixels: make it smaller."


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_picture_is_made_smaller_and_looks_the_same(kind, kept):
    picture = kept(
        encoded(quartered(5200, 2600), kind, **({"quality": 95} if kind == "JPEG" else {"compress_level": 1}))
    )
    assert 0.95 * MOST_PIXELS < picture.width * picture.height <= MOST_PIXELS
    assert abs(picture.width / picture.height - 2) < 0.01
    assert near(corners(picture), UPRIGHT)


HUNGRY = """
import resource, sys
from pathlib import Path
from xreasoner.eval.pictures import Pictures
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
pictures = Pictures(Path(sys.argv[2]))
pictures.keep(Path(sys.argv[1] + ".small").read_bytes())
before = peak()
pictures.keep(Path(sys.argv[1]).read_bytes())
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("mode", ["1", "RGBA", "I;16"])
def test_the_memory_for_the_largest_picture_is_bounded(mode, tmp_path):
    """25 million pixels: decoded they take 4 bytes each, and a mode of another width a copy."""
    path = tmp_path / "large.png"
    large = vast_png(5000) if mode == "1" else encoded(PIL.Image.new(mode, (5000, 5000)), compress_level=1)
    path.write_bytes(large)
    (tmp_path / "large.png.small").write_bytes(encoded(PIL.Image.new("RGBA", (8, 8))))
    run = subprocess.run(
        [sys.executable, "-c", HUNGRY, str(path), str(tmp_path / "kept")], capture_output=True, text=True, check=True
    )
    assert float(run.stdout) < 360  # MiB


# What is no picture


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_truncated_picture_is_refused(kind, why):
    whole = encoded(PIL.Image.effect_noise((64, 64), 90).convert("RGB"), kind)
    for share in (0.9, 0.5, 0.1):
        why(whole[: int(len(whole) * share)])
    assert "cannot be read" in why(whole[: int(len(whole) * 0.9)])


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>",
        b"<!DOCTYPE html><html><body>Sign in</body></html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        b"%PDF-1.7\n",
        b"\0" * 64,
    ],
)
def test_another_kind_of_file_named_png_is_refused_by_its_beginning(data, home, why):
    (home / "a.png").write_bytes(data)
    reason = why("a.png")
    assert "holds no picture (PNG, JPEG, " in reason
    assert repr(data[:40].decode()) in reason


def test_postscript_starts_no_program(why, monkeypatch):
    """Pillow gives it to Ghostscript, whatever the name of the file."""
    monkeypatch.setattr(PIL.EpsImagePlugin, "Ghostscript", lambda *a, **k: pytest.fail("Ghostscript was started"))
    monkeypatch.setattr(PIL.EpsImagePlugin, "gs_binary", "true", raising=False)
    eps = encoded(quartered(), "EPS")
    assert "holds no picture" in why(eps)
