"""Pictures of benchmarks as files that every sampler reads: PNG or JPEG, upright, without transparency.

A picture comes as encoded bytes in a row, or as the name of a file beside the rows, in a folder or in a zip archive.
Nothing is unpacked: an archive's member is read by its name and written under the hash of its bytes, so that no name
can lead outside of the folder. What a person could not look at is Unfit, and its question is left out.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import PIL.Image
import PIL.ImageOps

from xreasoner.data.fates import Unfit
from xreasoner.types import Image

# What Qwen2.5-VL's processor makes of the largest pictures (its max_pixels); more is only slower to read.
MOST_PIXELS = 12_845_056
_HUGE_PIXELS = 178_956_970  # where Pillow, too, suspects a decompression bomb; 540 MB once it is decoded
_LEAST_SIDE = 4  # pixels
_LONGEST_RATIO = 100.0  # of the sides; Qwen's processors refuse 200
_MOST_BYTES = 2**28
_AS_IT_IS = {"PNG": ".png", "JPEG": ".jpg"}
_ORIENTATION = 0x0112


class Pictures:
    """`folder` is where pictures are kept; None keeps none, for those who only want the text of questions. `beside`
    are the folders and zip archives in which names of files are looked for, the first that has one counts."""

    def __init__(self, folder: Path | None, beside: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._folders = [path.resolve() for path in beside if path.is_dir()]
        self._archives = [_Archive(path) for path in beside if path.is_file()]

    def keep(self, value: Any) -> Image:
        """The picture that a row holds (bytes, {"bytes", "path"}, or the name of a file), as a file in the folder.

        Raises:
            Unfit: there is none, or nobody could look at it; the detail says why.
        """
        if self._folder is None:
            return Image("")
        data = self._bytes(value)
        stem = self._folder / hashlib.sha256(data).hexdigest()[:24]
        for suffix in _AS_IT_IS.values():
            if (known := stem.with_suffix(suffix)).exists():
                return Image(str(known))
        suffix, ready = _ready(data)
        path = stem.with_suffix(suffix)
        write_picture(path, ready)
        return Image(str(path))

    def _bytes(self, value: Any) -> bytes:
        if isinstance(value, Mapping):
            inside = value.get("bytes")
            value = inside if isinstance(inside, bytes) and inside else value.get("path")
        if isinstance(value, bytes) and value:
            return value
        if not isinstance(value, str) or not value.strip():
            raise Unfit("image", "has no picture where one belongs.")
        name = value.strip()
        for folder in self._folders:
            path = Path(os.path.realpath(folder / name))
            if path.is_relative_to(folder) and path.is_file():
                if path.stat().st_size > _MOST_BYTES:
                    raise Unfit("image", f"names the picture {name[:80]!r}, a file of over {_MOST_BYTES >> 20} MiB.")
                return path.read_bytes()
        for archive in self._archives:
            data = archive.read(name)
            if data is not None:
                return data
        raise Unfit("image", f"names the picture {name[:80]!r}, which is not there.")


def write_picture(path: Path, data: bytes) -> None:
    """Writes a file that processes share, so that a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_bytes(data)
    aside.replace(path)


class _Archive:
    """A zip file, whose members are found by their whole name or by what follows a folder that holds all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members: dict[str, zipfile.ZipInfo] | None = None

    def read(self, name: str) -> bytes | None:
        member = self._by_name().get(_plain(name))
        if member is None:
            return None
        if member.file_size > _MOST_BYTES:
            raise Unfit("image", f"names the picture {name[:80]!r}, of over {_MOST_BYTES >> 20} MiB.")
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(member) as file:
                return file.read(_MOST_BYTES)  # whatever size the archive claims
        except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, NotImplementedError) as error:
            raise Unfit("image", f"names the picture {name[:80]!r}, damaged in {self._path.name} ({error}).") from None

    def _by_name(self) -> dict[str, zipfile.ZipInfo]:
        if self._members is None:
            try:
                with zipfile.ZipFile(self._path) as archive:
                    members = [m for m in archive.infolist() if not m.is_dir()]
            except (zipfile.BadZipFile, OSError, ValueError):
                members = []
            self._members = {}
            for member in reversed(members):  # of two of one name the first counts
                parts = PurePosixPath(_plain(member.filename)).parts
                for start in range(len(parts)):  # "images/a.png" is found as "a.png", too, unless another one is
                    self._members.setdefault("/".join(parts[start:]), member)
            self._members |= {_plain(m.filename): m for m in reversed(members)}
        return self._members


def _plain(name: str) -> str:
    return str(PurePosixPath(name.replace("\\", "/").removeprefix("./")))


def _ready(data: bytes) -> tuple[str, bytes]:
    """(suffix, bytes) of a file to keep: the bytes as they are where every reader shows them alike."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decompression bombs, which are measured below
            picture = PIL.Image.open(io.BytesIO(data))
        kind, (width, height) = picture.format or "", picture.size
        _check_size(width, height)
        small = width * height <= MOST_PIXELS
        if kind == "JPEG" and not small:
            picture.draft("RGB", (_scaled(width, height)))
        picture.load()
        upright = picture.getexif().get(_ORIENTATION, 1) == 1
        plain = picture.mode in ("RGB", "L") and "transparency" not in picture.info
        if kind in _AS_IT_IS and plain and upright and small:
            return _AS_IT_IS[kind], data
        changed = _flat(PIL.ImageOps.exif_transpose(picture))
        if changed.width * changed.height > MOST_PIXELS:
            changed = changed.resize(_scaled(*changed.size), PIL.Image.Resampling.BICUBIC)
        out = io.BytesIO()
        changed.save(out, format="PNG", compress_level=1)
        return ".png", out.getvalue()
    except Unfit:
        raise
    except PIL.Image.DecompressionBombError:
        raise Unfit("image", f"holds a picture of over {_HUGE_PIXELS / 1e6:,.0f} million pixels.") from None
    except Exception as error:  # a damaged file can break every decoder in its own way
        raise Unfit(
            "image", f"holds a picture that cannot be read ({type(error).__name__}: {str(error)[:80]})."
        ) from None


def _check_size(width: int, height: int) -> None:
    if min(width, height) < _LEAST_SIDE:
        raise Unfit("image", f"holds a picture of {width} x {height} pixels, on which there is nothing to see.")
    if max(width, height) > _LONGEST_RATIO * min(width, height):
        raise Unfit("image", f"holds a strip of {width} x {height} pixels, which no processor takes.")
    if width * height > _HUGE_PIXELS:
        raise Unfit("image", f"holds a picture of {width * height / 1e6:,.0f} million pixels.")


def _scaled(width: int, height: int) -> tuple[int, int]:
    share = (MOST_PIXELS / (width * height)) ** 0.5
    return max(1, int(width * share)), max(1, int(height * share))


def _flat(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Any mode as RGB, what is transparent on white, 16-bit grey from black to white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        low, high = picture.convert("F").getextrema()
        span = (float(high) - float(low)) or 1.0  # type: ignore[arg-type]
        return picture.convert("F").point(lambda x: (x - float(low)) * (255.0 / span)).convert("L").convert("RGB")  # type: ignore[arg-type]
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", clear.size, "white")
        return PIL.Image.alpha_composite(white, clear).convert("RGB")
    return picture.convert("RGB")
