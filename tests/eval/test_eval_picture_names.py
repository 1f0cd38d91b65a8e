"""Names of pictures, and zip archives, that are hostile: nothing outside of the folder is read, nothing is written but
what is kept, and no picture is guessed."""

import os
import stat
import struct
import zipfile

import PIL.Image
import pytest
from fixture_rows import png
from picture_looks import BLUE, GREEN, RED, WHITE, corners, encoded, kept_in, refused_in

from xreasoner.data.fates import Unfit
from xreasoner.eval.pictures import Pictures


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


def archive(home, members, name="images.zip", **options):
    with zipfile.ZipFile(home / name, "w", **options) as file:
        for member, data in members:
            file.writestr(member, data)


@pytest.mark.parametrize(
    "value", [None, "", "  ", b"", {}, {"bytes": None, "path": None}, {"bytes": b""}, 7, ["a.png"], True]
)
def test_a_row_without_a_picture_says_so(value, why):
    assert why(value) == "has no picture where one belongs."


# Names


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret.png").write_bytes(png("red"))
    return tmp_path / "secret.png"


def test_a_name_is_found_in_the_folder_and_in_its_subfolders(home, kept):
    (home / "imgs" / "x1").mkdir(parents=True)
    (home / "imgs" / "x1" / "source.png").write_bytes(png(GREEN))
    for name in (
        "imgs/x1/source.png",
        "x1/source.png",
        "./imgs/x1/source.png",
        r"imgs\x1\source.png",
        " x1/source.png ",
    ):
        assert corners(kept(name)) == [GREEN] * 4
    assert corners(kept({"bytes": None, "path": "x1/source.png"})) == [GREEN] * 4
    assert corners(kept(str(home / "imgs" / "x1" / "source.png"))) == [GREEN] * 4, "by its whole name"


def test_nothing_outside_of_the_folder_is_read(home, secret, why):
    (home / "link.png").symlink_to(secret)
    (home / "linked").symlink_to(secret.parent)
    for name in ("../secret.png", str(secret), "link.png", "linked/secret.png", "x/../../secret.png", r"..\secret.png"):
        told = why(name)
        assert told.startswith(f"names the picture {name[:60]!r}"[:-1])  # a long name is cut
        assert told.endswith(", outside of its folder: put a copy into it.")
    assert "which is not there" in why("secret.png"), "a linked folder is none of the folder's own"


def test_the_hub_keeps_files_as_links_into_its_cache(tmp_path, secret):
    snapshot = tmp_path / "datasets--a--b" / "snapshots" / "c0ffee" / "images"
    snapshot.mkdir(parents=True)
    (tmp_path / "datasets--a--b" / "blobs").mkdir()
    (tmp_path / "datasets--a--b" / "blobs" / "7f").write_bytes(png(BLUE))
    (snapshot / "a.png").symlink_to(os.path.relpath(tmp_path / "datasets--a--b" / "blobs" / "7f", snapshot))
    (snapshot / "b.png").symlink_to(secret)
    pictures = Pictures(tmp_path / "kept", [snapshot])
    with PIL.Image.open(pictures.keep("a.png").path) as picture:
        assert corners(picture) == [BLUE] * 4
    with pytest.raises(Unfit, match="outside of its folder"):
        pictures.keep("b.png")


@pytest.mark.parametrize("name", ["a\0.png", "a" * 300 + ".png", "\ud800.png", "x/" * 3000 + "a.png"])
def test_a_name_that_no_file_can_have_is_refused(name, why):
    reason = why(name)
    assert reason.startswith("names the picture '")
    reason.encode()


def test_a_folder_or_a_pipe_is_no_picture(home, why):
    (home / "a.png").mkdir()
    os.mkfifo(home / "b.png")
    assert why("a.png") == "names the picture 'a.png', which is not there."
    assert why("b.png") == "names the picture 'b.png', which is not there."


def test_of_two_different_files_of_one_name_none_is_taken(home, kept, why):
    for folder, colour in (("test", RED), ("train", BLUE)):
        (home / folder).mkdir()
        (home / folder / "1.png").write_bytes(png(colour))
        (home / folder / "same.png").write_bytes(png(GREEN))
    assert why("1.png") == "names the picture '1.png', of which there are two: remove the wrong one."
    assert corners(kept("train/1.png")) == [BLUE] * 4
    assert corners(kept("same.png")) == [GREEN] * 4
    (home / "1.png").write_bytes(png(WHITE))
    assert corners(kept("1.png")) == [WHITE] * 4, "the whole name counts first"


# Archives


def test_a_member_is_found_by_its_name_and_behind_a_folder(home, kept):
    members = [("imgs/x1/source.png", png(GREEN)), (r"imgs\x2\source.png", png(BLUE)), ("imgs/", b"")]
    archive(home, [*members, ("__MACOSX/imgs/x1/source.png", b"of a Mac")])
    for name in ("imgs/x1/source.png", "x1/source.png", r"x1\source.png", "./x1/source.png"):
        assert corners(kept(name)) == [GREEN] * 4
    assert corners(kept("x2/source.png")) == [BLUE] * 4


def test_a_name_is_found_by_whole_parts_alone(home, why):
    archive(home, [("imgs/x11/a.png", png())])
    assert "which is not there" in why("1/a.png")


def test_names_that_lead_outside_write_nothing(home, tmp_path, kept):
    archive(home, [("../../evil.png", png(RED)), ("/tmp/absolute-evil.png", png(BLUE)), ("C:\\evil2.png", png(GREEN))])
    assert corners(kept("evil.png")) == [RED] * 4
    assert corners(kept("absolute-evil.png")) == [BLUE] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "kept"]
    assert not os.path.exists("/tmp/absolute-evil.png")
    assert not (tmp_path.parent / "evil.png").exists()
    assert all(len(path.stem) == 24 for path in (tmp_path / "kept").iterdir()), "named by their content"


def test_two_members_of_one_name_that_differ_are_not_guessed_between(home, kept, why):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive(home, [("a.png", png(RED)), ("a.png", png(BLUE)), ("b.png", png(RED)), ("b.png", png(RED))])
    assert why("a.png") == (
        "names the picture 'a.png', in images.zip more than once and not the same (a.png, a.png): remove the wrong one."
    )
    assert corners(kept("b.png")) == [RED] * 4
    archive(home, [("test/c.png", png(RED)), ("train/c.png", png(BLUE))], "more.zip")
    assert "more than once and not the same (test/c.png, train/c.png)" in why("c.png")
    archive(home, [("b.png", png(BLUE))], "other.zip")
    assert why("b.png") == "names the picture 'b.png', of which there are two: remove the wrong one."


def test_a_bomb_is_refused_by_what_it_says_and_by_what_it_does(home, why):
    archive(home, [("a.png", bytes(5 * 2**20))], compression=zipfile.ZIP_DEFLATED)
    honest, path = (home / "images.zip").read_bytes(), home / "images.zip"
    path.write_bytes(honest.replace(struct.pack("<I", 5 * 2**20), struct.pack("<I", 300 * 2**20)))
    assert why("a.png") == "names the picture 'a.png', in images.zip of over 256 MiB."
    path.write_bytes(honest.replace(struct.pack("<I", 5 * 2**20), struct.pack("<I", 50)))
    assert "images.zip damaged (BadZipFile: Bad CRC-32" in why("a.png")


def test_a_link_in_an_archive_is_not_followed(home, secret, why):
    link = zipfile.ZipInfo("a.png")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive(home, [(link, str(secret))])
    assert why("a.png") == "names the picture 'a.png', in images.zip only a link to another file."


def test_a_member_under_a_password_is_refused(home, why):
    archive(home, [("a.png", png())])
    data = bytearray((home / "images.zip").read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    (home / "images.zip").write_bytes(bytes(data))
    assert why("a.png") == "names the picture 'a.png', in images.zip under a password: unpack it beside the rows."


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_refused(method, home, why):
    archive(home, [("a.png", encoded(PIL.Image.effect_noise((64, 64), 90)))], compression=method)
    data = bytearray((home / "images.zip").read_bytes())
    data[60:90] = bytes(byte ^ 0xA5 for byte in data[60:90])
    (home / "images.zip").write_bytes(bytes(data))
    assert why("a.png").startswith("names the picture 'a.png', in images.zip damaged (")


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + bytes(50), b"PK\x05\x06" + b"\xff" * 18])
def test_a_corrupt_archive_is_named_and_does_not_hide_the_others(data, home, kept, why):
    (home / "a-corrupt.zip").write_bytes(data)
    archive(home, [("b.png", png(BLUE))])
    assert corners(kept("b.png")) == [BLUE] * 4
    assert why("a.png") == (
        "names the picture 'a.png', which is not there; a-corrupt.zip is no zip file that can be read (BadZipFile): "
        "fetch it again."
    )


def test_an_archive_is_listed_once_for_all_its_pictures(home, tmp_path, monkeypatch):
    archive(home, [(f"{i}.png", png((i, 0, 0))) for i in range(20)])
    opened = []
    true = zipfile.ZipFile.__init__
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda self, *a, **k: opened.append(1) or true(self, *a, **k))
    pictures = Pictures(tmp_path / "kept", [home / "images.zip"])
    assert len({pictures.keep(f"{i}.png").path for i in range(20)}) == 20
    assert len(opened) == 1


def test_a_full_disk_is_no_fault_of_the_row(tmp_path):
    (tmp_path / "kept").write_text("in the way")
    with pytest.raises(OSError, match="kept"):
        Pictures(tmp_path / "kept").keep(png())
