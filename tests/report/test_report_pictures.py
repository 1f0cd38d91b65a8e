from pathlib import Path

import pytest
from report_run_folder import draw_picture

from xreasoner.report.pictures import MAX_BYTES, Pictures


def test_a_picture_is_found_by_every_honest_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "runs" / "micro"
    draw_picture(root / "pictures" / "a.png", "a")
    monkeypatch.chdir(tmp_path)
    pictures = Pictures(10**6)
    names = [
        "pictures/a.png",
        "runs/micro/pictures/a.png",
        str(root / "pictures" / "a.png"),
        "/elsewhere/pictures/a.png",
    ]
    assert len({pictures.data_uri(root, name) for name in names}) == 1
    assert (pictures.data_uri(root, names[0]) or "").startswith("data:image/png;base64,")


@pytest.mark.parametrize("content", [b"", b"<svg onload=alert(1)>", b"GIF", b"\x89PNG"])
def test_only_known_kinds_are_pictures(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert Pictures(10**6).data_uri(tmp_path, "a.png") is None


def test_the_budget_holds_and_a_picture_counts_once(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"\xff\xd8\xff" + name.encode() * 97)
    (tmp_path / "large").write_bytes(b"\xff\xd8\xff" + bytes(MAX_BYTES))
    pictures = Pictures(200)
    assert pictures.data_uri(tmp_path, "large") is None
    assert [pictures.data_uri(tmp_path, name) is not None for name in "aaabac"] == [True, True, True, True, True, False]
