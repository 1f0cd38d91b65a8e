"""Pictures of benchmarks as files that every sampler reads: PNG or JPEG, upright, without transparency.

A picture comes as encoded bytes in a row, or as the name of a file beside the rows, in a folder or in a zip archive.
Nothing is unpacked: an archive's member is read by its name and written under the hash of its bytes, so that no name
can lead outside of the folder. What a person could not look at is Unfit, and its question is left out; so is a name
that may mean either of two pictures.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import PIL.Image

from xreasoner.data.fates import Unfit
from xreasoner.types import Image

# What Qwen2.5-VL's processor makes of the largest pictures (its max_pixels); more is only slower to read.
MOST_PIXELS = 12_845_056
_HUGE_PIXELS = 100_000_000  # of a file, before it is made smaller: 1.2 GB of memory at its worst
_LEAST_SIDE = 4  # pixels
_LONGEST_RATIO = 100.0  # of the sides; Qwen's processors refuse 200
_MOST_BYTES = 2**28  # of an encoded picture
# Pillow reads more, some of it by starting other programs (Ghostscript, for EPS).
_KINDS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
_AS_IT_IS = {"PNG": ".png", "JPEG": ".jpg"}
_ORIENTATION = 0x0112
_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_WHITES = (1, 255, 4095, 65535)  # of grey in 1, 8, 12 and 16 bits


class Pictures:
    """`folder` is where pictures are kept; None keeps none, for those who only want the text of questions. `beside`
    are the folders and zip archives in which names of files are looked for: in a folder itself, then in its
    subfolders (archives are unpacked into one), then in the archives."""

    def __init__(self, folder: Path | None, beside: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._folders = [path.resolve() for path in beside if path.is_dir()]
        self._subfolders = [path for folder in self._folders for path in _subfolders(folder)]
        self._archives = [_Archive(path) for path in beside if path.is_file()]

    @property
    def kept(self) -> bool:
        return self._folder is not None

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
        try:
            found = _in_folders(self._folders, name) or _in_folders(self._subfolders, name)
            found = found or [data for archive in self._archives if (data := archive.read(name)) is not None]
            outside = not found and any(_leads_outside(folder, name) for folder in self._folders)
        except (OSError, ValueError) as error:  # no permission, a name of 300 characters, one that holds a NUL
            why = getattr(error, "strerror", None) or str(error)
            raise Unfit("image", f"names the picture {name[:80]!r}, which cannot be read ({why[:80]}).") from None
        if outside:
            raise Unfit("image", f"names the picture {name[:80]!r}, outside of its folder: put a copy into it.")
        if not found:
            damaged = "".join(f"; {archive.fault}" for archive in self._archives if archive.fault)
            raise Unfit("image", f"names the picture {name[:80]!r}, which is not there{damaged}.")
        if len(set(found)) > 1:
            raise Unfit("image", f"names the picture {name[:80]!r}, of which there are two: remove the wrong one.")
        return found[0]


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


def _in_folders(folders: Sequence[Path], name: str) -> list[bytes]:
    """The files of a name; nothing that lies outside of its folder."""
    found = []
    for folder in folders:
        path = next((p for p in _spelled(folder, name) if _is_in(p, folder) and p.is_file()), None)
        if path is not None and path.stat().st_size > _MOST_BYTES:
            raise Unfit("image", f"names the picture {name[:80]!r}, of over {_MOST_BYTES >> 20} MiB.")
        if path is not None:
            found.append(path.read_bytes())
    return found


def _leads_outside(folder: Path, name: str) -> bool:
    return not all(_is_in(path, folder) for path in _spelled(folder, name))


def _spelled(folder: Path, name: str) -> list[Path]:
    """Where a name leads, links followed; with backslashes as they are, and as slashes."""
    return [Path(os.path.realpath(folder / spelled)) for spelled in dict.fromkeys((name, _plain(name)))]


def _is_in(path: Path, folder: Path) -> bool:
    """Whether a file lies in a folder or, where that is one of huggingface_hub's cache, where the cache keeps it."""
    caches = [parent.parent for parent in folder.parents if parent.name == "snapshots"]
    blobs = [cache / "blobs" for cache in caches if cache.name.startswith("datasets--")]
    return any(path.is_relative_to(root) for root in (folder, *blobs))


def write_picture(path: Path, data: bytes) -> None:
    """Writes a file that processes share, so that a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


class _Archive:
    """A zip file. A member is found by its whole name, or by the end of it that follows some folders. `fault` says why
    none can be found."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, list[zipfile.ZipInfo]] | None = None  # by the last part of the name
        self.fault = ""

    def read(self, name: str) -> bytes | None:
        """The member of this name; None where there is none. Raises Unfit where it is no picture that can be read, or
        may be either of two."""
        members = self._named(name)
        if not members or self._zip is None:
            return None
        said = f"names the picture {name[:80]!r}, in {self._path.name}"
        if len({(member.CRC, member.file_size) for member in members}) > 1:
            names = ", ".join(member.filename[:60] for member in members[:2])
            raise Unfit("image", f"{said} more than once and not the same ({names}): remove the wrong one.")
        member = members[0]
        if stat.S_ISLNK(member.external_attr >> 16):
            raise Unfit("image", f"{said} only a link to another file.")
        if member.file_size > _MOST_BYTES:
            raise Unfit("image", f"{said} of over {_MOST_BYTES >> 20} MiB.")
        if member.flag_bits & 1:
            raise Unfit("image", f"{said} under a password: unpack it beside the rows.")
        try:
            with self._zip.open(member) as file:
                return file.read(_MOST_BYTES)  # whatever size the archive claims
        except Exception as error:  # of zipfile, zlib, lzma, struct: each breaks in its own way
            raise Unfit("image", f"{said} damaged ({type(error).__name__}: {str(error)[:80]}).") from None

    def _named(self, name: str) -> list[zipfile.ZipInfo]:
        wanted = _plain(name)
        alike = self._by_last_part().get(PurePosixPath(wanted).name, [])
        whole = [member for member in alike if _plain(member.filename) == wanted]
        return whole or [member for member in alike if _plain(member.filename).endswith(f"/{wanted.lstrip('/')}")]

    def _by_last_part(self) -> dict[str, list[zipfile.ZipInfo]]:
        if self._members is None:
            members = defaultdict(list)
            try:
                self._zip = zipfile.ZipFile(self._path)  # stays open: to list 100,000 members takes a second
                for member in self._zip.infolist():
                    if not member.is_dir() and not member.filename.startswith("__MACOSX/"):
                        members[PurePosixPath(_plain(member.filename)).name].append(member)
            except Exception as error:
                why = type(error).__name__
                self.fault = f"{self._path.name} is no zip file that can be read ({why}): fetch it again"
            self._members = dict(members)
        return self._members


def _plain(name: str) -> str:
    """A name with slashes between its parts, without a "./" before it."""
    return str(PurePosixPath(name.replace("\\", "/")))


def _ready(data: bytes) -> tuple[str, bytes]:
    """(suffix, bytes) of a file to keep: the bytes as they are where every reader shows them alike."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decompression bombs, which are measured below
            with PIL.Image.open(io.BytesIO(data), formats=_KINDS) as picture:
                return _file_of(picture, data)
    except Unfit:
        raise
    except PIL.UnidentifiedImageError:
        kinds = ", ".join(_KINDS)
        raise Unfit("image", f"holds no picture ({kinds}), but what begins with {_beginning(data)}.") from None
    except PIL.Image.DecompressionBombError:
        raise Unfit("image", f"holds a picture of over {_HUGE_PIXELS / 1e6:,.0f} million pixels.") from None
    except Exception as error:  # a damaged file can break every decoder in its own way
        raise Unfit(
            "image", f"holds a picture that cannot be read ({type(error).__name__}: {str(error)[:80]})."
        ) from None


def _beginning(data: bytes) -> str:
    return repr(data[:40].decode("ascii", "replace"))


def _file_of(picture: PIL.Image.Image, data: bytes) -> tuple[str, bytes]:
    kind, (width, height) = picture.format or "", picture.size
    _check_size(width, height)
    small = width * height <= MOST_PIXELS
    if kind == "JPEG" and not small:
        picture.draft(None, _scaled(width, height))
    picture.load()
    orientation = _orientation(picture)
    plain = picture.mode in ("RGB", "L") and not picture.has_transparency_data
    same = plain and orientation == 1 and small
    if same and kind in _AS_IT_IS and not getattr(picture, "is_animated", False):
        return _AS_IT_IS[kind], data
    # A profile tells what the colours mean, as long as they are what the file had.
    profile = picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA", "P") else None
    changed = _flat(picture)
    if orientation in _TURNS:
        changed = changed.transpose(_TURNS[orientation])
    changed.info = {}
    out = io.BytesIO()
    changed.save(out, format="PNG", compress_level=1, icc_profile=profile)
    return ".png", out.getvalue()


def _check_size(width: int, height: int) -> None:
    if min(width, height) < _LEAST_SIDE:
        raise Unfit("image", f"holds a picture of {width} x {height} pixels, on which there is nothing to see.")
    if max(width, height) > _LONGEST_RATIO * min(width, height):
        raise Unfit("image", f"holds a strip of {width} x {height} pixels, which no processor takes.")
    if width * height > _HUGE_PIXELS:
        raise Unfit("image", f"holds a picture of {width * height / 1e6:,.0f} million pixels: make it smaller.")


def _orientation(picture: PIL.Image.Image) -> Any:
    """What EXIF says of the upper side, 1 to 8; anything where it is broken, which is no reason not to look."""
    try:
        return picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # of struct, of Pillow, of its XML reader
        return None


def _flat(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Any mode as RGB or L of at most MOST_PIXELS, what is transparent on white, deep grey as 8 bits. Whole copies of
    large pictures are dear, so that it is made smaller as soon as its mode allows."""
    if picture.mode.startswith("I") or picture.mode == "F":
        grey = picture.convert("F")
        low, high = (float(x) for x in grey.getextrema())  # type: ignore[arg-type]
        return _eight_bits(_shrunk(grey), low, high)
    if picture.has_transparency_data:
        clear = _shrunk(picture if picture.mode == "RGBA" else picture.convert("RGBA"))
        white = PIL.Image.new("RGB", clear.size, "white")
        white.paste(clear, mask=clear)
        return white
    return _shrunk(picture if picture.mode in ("RGB", "L") else picture.convert("RGB"))


def _eight_bits(grey: PIL.Image.Image, low: float, high: float) -> PIL.Image.Image:
    """Brightness as a viewer shows it: from 0 to the white of so many bits as it uses. What no viewer could show, such
    as Hounsfield units, from its darkest to its brightest."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Unfit("image", "holds a picture whose brightness is no number.")
    white = next((white for white in _WHITES if high <= white), None) if low >= 0 else None
    black, span = (0.0, float(white)) if white else (low, (high - low) or 1.0)
    return grey.point(lambda x: x * (255 / span) + (0.5 - black * (255 / span))).convert("L")


def _shrunk(picture: PIL.Image.Image) -> PIL.Image.Image:
    factor = int((picture.width * picture.height / MOST_PIXELS) ** 0.5)
    if factor > 1:
        picture = picture.reduce(factor)  # exact, and needs no copy of the whole
    if picture.width * picture.height <= MOST_PIXELS:
        return picture
    return picture.resize(_scaled(*picture.size), PIL.Image.Resampling.BICUBIC)


def _scaled(width: int, height: int) -> tuple[int, int]:
    share = (MOST_PIXELS / (width * height)) ** 0.5
    return max(1, int(width * share)), max(1, int(height * share))
