"""What outputs are called, and which names clash."""

from __future__ import annotations

import pytest

from cli.batch.naming import Names, hidden_name, safe, shown
from cli.batch.outcomes import NameTaken
from facet_client.names import FormatName
from services.chassis.errors import InvalidRequest

AS_IT_CAME = Names(format=None)
HEIF = b"\0\0\0\x18ftypheic"
JPEG = b"\xff\xd8\xff\xe0"


def case_matters(one: str, other: str) -> bool:
    del one, other
    return False


def case_is_lost(one: str, other: str) -> bool:
    del one, other
    return True


@pytest.mark.parametrize("name", ["a.jpg", "a.JPG", "no suffix", "a.png", "a.b/c.tar.gz"])
def test_output_keeps_the_name_whatever_it_tells(name: str) -> None:
    assert AS_IT_CAME.possible(name) == (name,)
    assert AS_IT_CAME.actual(name, JPEG, "image/jpeg") == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p.heic", "p.heic.jpg"),
        ("p.HIF", "p.HIF.jpg"),
        ("phone.jpg", "phone.jpg"),
        ("noname", "noname.jpg"),
        ("x.png", "x.png.jpg"),
    ],
)
def test_heic_becomes_a_name_that_tells_the_truth(name: str, expected: str) -> None:
    assert AS_IT_CAME.actual(name, HEIF, "image/jpeg") == expected


def test_format_asked_for_is_told_by_the_name() -> None:
    names = Names(format=FormatName.PNG)
    assert names.possible("a.jpg") == ("a.jpg.png",)
    assert names.actual("a.PNG", JPEG, "image/png") == "a.PNG"


@pytest.mark.parametrize(
    "paths",
    [["a.jpg", "a.jpg"], ["p.heic", "p.heic.jpg"], ["p.heic", "p.heic.png"], ["a", "a/b.jpg"]],
)
def test_two_sources_of_one_output_are_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidRequest, match=r"would (both )?become"):
        AS_IT_CAME.planned(paths, case_matters)


def test_format_makes_names_clash_that_did_not() -> None:
    paths = ["a.png", "a.png.png"]
    assert set(AS_IT_CAME.planned(paths, case_matters)) == set(paths)
    with pytest.raises(InvalidRequest):
        Names(format=FormatName.JPEG).planned(["a.png", "a.png.jpg"], case_matters)


@pytest.mark.parametrize("pair", [("A.jpg", "a.jpg"), ("é.jpg", "e\u0301.jpg")])
def test_names_alike_but_for_case_or_composition_clash_where_the_destination_keeps_no_difference(
    pair: tuple[str, str],
) -> None:
    assert len(AS_IT_CAME.planned(pair, case_matters)) == 2
    with pytest.raises(InvalidRequest, match="rename one"):
        AS_IT_CAME.planned(pair, case_is_lost)


@pytest.mark.parametrize(
    "path",
    [
        *("../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "a//b.jpg", "a/./b", "", ".facet/x", "a\0b"),
        *(".FACET/x", ".Facet. /x", ".fa\u200dcet/x"),  # the same on some file systems
    ],
)
def test_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(NameTaken):
        safe(path)


def test_names_are_shown_without_their_power() -> None:
    assert shown("a\x1b[2J\n\udcff日本.jpg") == "a\\x1b[2J\\n\\udcff日本.jpg"


@pytest.mark.parametrize(
    ("path", "media_type", "name"),
    [
        ("a/photo.JPG", "image/jpeg", "a/photo-hidden.JPG"),
        ("photo.HEIC", "image/jpeg", "photo-hidden.jpg"),
        ("photo.jpeg", "image/png", "photo-hidden.png"),
        ("b.c/photo", "image/webp", "b.c/photo-hidden.webp"),
        ("2024.05.01", "image/jpeg", "2024.05.01-hidden.jpg"),
    ],
)
def test_result_beside_a_file_is_called_after_it_and_its_own_format(path: str, media_type: str, name: str) -> None:
    assert hidden_name(path, media_type) == name
