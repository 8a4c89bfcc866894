"""A profile is rebuilt from what colour needs: it shows the same colours, and nothing else that lay in it is left."""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from skimage import data

from services.chassis.pictures.icc import clean_profile
from tests.support.pictures import encode, noise
from tests.support.profiles import (
    D50,
    LCMS_SRGB,
    PRIMARIES,
    SRGB_FORMULA,
    curve,
    formula,
    ink_nodes,
    matrix_tags,
    profile,
    shown,
    srgb_points,
    steps,
    table,
    xyz,
)

SECRET = b"serial 4711 of Alice"
FACE = encode(Image.fromarray(data.astronaut()).crop((144, 40, 304, 168)).resize((64, 51)), "JPEG", quality=60)

RGB = {
    "sRGB v2 of points": profile(matrix_tags("sRGB", srgb_points(1024))),
    "sRGB v2 of few points": profile(matrix_tags("sRGB", srgb_points(26))),
    "sRGB v4": profile(matrix_tags("sRGB", SRGB_FORMULA), version=4),
    "Display P3": profile(matrix_tags("Display P3", SRGB_FORMULA), version=4),
    "Adobe RGB": profile(matrix_tags("Adobe RGB", curve([563]))),
    "ProPhoto RGB": profile(matrix_tags("ProPhoto RGB", curve([461]))),
    "linear": profile(matrix_tags("sRGB", curve([]))),
    "of a scanner": profile(matrix_tags("Adobe RGB", srgb_points(4096)), device=b"scnr"),
    "Little CMS": LCMS_SRGB,
}
GREY = {
    "gamma 2.2": profile({b"kTRC": curve([563]), b"wtpt": xyz(D50)}, space=b"GRAY"),
    "dot gain": profile({b"kTRC": srgb_points(256), b"wtpt": xyz(D50)}, space=b"GRAY", device=b"prtr"),
}
INKS = {
    "of 16 bits": table(ink_nodes(9)),
    "of 8 bits": table(ink_nodes(6), sample_bytes=1),
    "in steps": steps(ink_nodes(7)),
}


def inks(element: bytes, *, version: int = 2) -> bytes:
    tags = {b"A2B0": element, b"A2B1": element, b"B2A0": element, b"gamt": element, b"wtpt": xyz(D50)}
    return profile(tags, space=b"CMYK", connection=b"Lab ", device=b"prtr", version=version)


def cleaned(content: bytes, channels: str = "RGB") -> bytes:
    kept = clean_profile(content, channels=channels)
    assert kept is not None
    return kept


def elements(content: bytes) -> dict[bytes, tuple[int, int]]:
    (count,) = struct.unpack_from(">I", content, 128)
    places = (struct.unpack_from(">4sII", content, 132 + 12 * index) for index in range(count))
    return {name: (start, size) for name, start, size in places}


@pytest.mark.parametrize("intent", [0, 1])
@pytest.mark.parametrize("name", RGB)
def test_colours_of_rgb_stay(name: str, intent: int) -> None:
    values = noise(64, 64)
    before, after = (shown(content, values, intent=intent) for content in (RGB[name], cleaned(RGB[name])))
    assert np.abs(before.astype(int) - after).max() <= 1


@pytest.mark.parametrize("name", GREY)
def test_tones_of_grey_stay(name: str) -> None:
    values = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    before, after = (shown(content, values) for content in (GREY[name], cleaned(GREY[name], "L")))
    assert np.abs(before.astype(int) - after).max() <= 1


@pytest.mark.parametrize("name", INKS)
def test_colours_of_inks_stay(name: str) -> None:
    values, content = noise(64, 64, "CMYK"), inks(INKS[name], version=4 if name == "in steps" else 2)
    before, after = (shown(one, values) for one in (content, cleaned(content, "CMYK")))
    assert np.abs(before.astype(int) - after).max() <= 1


def test_grey_pixels_with_a_profile_of_rgb_keep_its_tones() -> None:
    values = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    content = RGB["Adobe RGB"]
    before, after = shown(content, values.convert("RGB")), shown(cleaned(content, "L"), values)
    assert np.abs(before.astype(int) - after).max() <= 1


@pytest.mark.parametrize("intent", range(4))
def test_rendering_intent_stays(intent: int) -> None:
    content = bytearray(RGB["sRGB v4"])
    content[64:68] = intent.to_bytes(4)
    assert cleaned(bytes(content))[64:68] == intent.to_bytes(4)


def test_a_table_beside_primaries_goes_and_code_points_stay() -> None:
    x = np.stack(np.meshgrid(*[np.linspace(0, 1, 5)] * 3, indexing="ij"), axis=-1)
    points = b"cicp" + bytes(4) + bytes((9, 16, 0, 1))
    kept = cleaned(profile({**matrix_tags("sRGB", SRGB_FORMULA), b"A2B0": table(x), b"cicp": points}, version=4))
    assert points in kept
    assert b"A2B0" not in elements(kept)


def test_rgb_that_has_a_table_alone_keeps_it() -> None:
    x = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 3, indexing="ij"), axis=-1)
    lightness = x @ (0.3, 0.6, 0.1)
    nodes = np.stack([lightness**0.5, 0.5 + (x[..., 0] - x[..., 1]) / 4, 0.5 + (x[..., 1] - x[..., 2]) / 4], axis=-1)
    content = profile({b"A2B0": table(nodes), b"wtpt": xyz(D50)}, connection=b"Lab ")
    values = noise(64, 64)
    assert np.abs(shown(content, values).astype(int) - shown(cleaned(content), values)).max() <= 1


# What goes


def text(value: bytes) -> bytes:
    return b"text" + bytes(4) + value + b"\0"


def described(value: bytes) -> bytes:
    return b"desc" + bytes(4) + struct.pack(">I", len(value) + 1) + value + b"\0" + value.ljust(78, b"\0")


def localised(value: bytes) -> bytes:
    return b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", len(value), 28) + value


SMUGGLED: dict[str, Callable[[bytes], bytes]] = {
    **{
        f"in {tag.decode()}": lambda hidden, tag=tag: profile(  # type: ignore[misc]
            {**matrix_tags("sRGB", SRGB_FORMULA), tag: text(hidden)}
        )
        for tag in (b"cprt", b"dmnd", b"dmdd", b"vued", b"dscm", b"meta", b"MS00", b"vcgt", b"targ", b"PRIV", b"psid")
    },
    "in a description": lambda hidden: profile({**matrix_tags("sRGB", SRGB_FORMULA), b"desc": described(hidden)}),
    "in translations": lambda hidden: profile(
        {**matrix_tags("sRGB", SRGB_FORMULA), b"desc": localised(hidden)}, version=4
    ),
    "between tags": lambda hidden: profile(matrix_tags("sRGB", SRGB_FORMULA), gap=hidden),
    "behind the end": lambda hidden: profile(matrix_tags("sRGB", SRGB_FORMULA)) + hidden,
    "behind a colour": lambda hidden: profile({**matrix_tags("sRGB", SRGB_FORMULA), b"rXYZ": xyz(D50) + hidden}),
    "behind white": lambda hidden: profile({**matrix_tags("sRGB", SRGB_FORMULA), b"wtpt": xyz(D50) + hidden}),
    "behind a formula": lambda hidden: profile({**matrix_tags("sRGB", SRGB_FORMULA), b"gTRC": SRGB_FORMULA + hidden}),
    "behind a curve": lambda hidden: profile({**matrix_tags("sRGB", SRGB_FORMULA), b"gTRC": curve([563]) + hidden}),
    "where an element has nothing": lambda hidden: profile(
        {**matrix_tags("sRGB", SRGB_FORMULA), b"bXYZ": b"XYZ " + hidden[:4] + xyz(D50)[8:]}
    ),
    "where it comes from": lambda hidden: profile(matrix_tags("sRGB", SRGB_FORMULA), identity=hidden[:16]),
    "in a table that is not needed": lambda hidden: profile(
        {**matrix_tags("sRGB", SRGB_FORMULA), b"A2B0": b"mft2" + bytes(4) + hidden, b"B2A0": hidden}
    ),
}


@pytest.mark.parametrize("hidden", [SECRET, FACE], ids=["a text", "a face"])
@pytest.mark.parametrize("way", SMUGGLED)
def test_nothing_else_that_lies_in_it_is_kept(way: str, hidden: bytes) -> None:
    content = SMUGGLED[way](hidden)
    assert hidden[:4] in content
    kept = cleaned(content)
    last = hidden[-160:]  # of the picture, what Huffman codes make of its pixels
    assert not any(last[at : at + 8] in kept for at in range(len(last) - 7))
    assert hidden[:4] not in kept


@pytest.mark.parametrize("name", RGB)
def test_every_byte_of_the_answer_has_a_meaning(name: str) -> None:
    """No gap, no overlap, nothing behind the end: each element begins where another one ends."""
    kept = cleaned(RGB[name])
    places = sorted(set(elements(kept).values()))
    at = 132 + 12 * len(elements(kept))
    for start, size in places:
        assert start == at
        at = start + size + -size % 4
        assert not any(kept[start + size : at])
    assert at == len(kept) == int.from_bytes(kept[:4])
    assert set(elements(kept)) <= {
        *(b"desc", b"cprt", b"wtpt", b"chad", b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    }


def test_date_and_origin_say_nothing() -> None:
    one, other = (profile(matrix_tags("sRGB", SRGB_FORMULA), identity=bytes((value,)) * 16) for value in (65, 66))
    assert one != other
    assert cleaned(one) == cleaned(other)
    assert cleaned(one)[24:36] != one[24:36]


@pytest.mark.parametrize("content", [*RGB.values(), *GREY.values(), *(inks(INKS[name]) for name in ("of 8 bits",))])
def test_what_is_clean_stays_as_it_is(content: bytes) -> None:
    channels = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}[content[16:20]]
    kept = cleaned(content, channels)
    assert clean_profile(kept, channels=channels) == kept


@pytest.mark.parametrize("content", [RGB["sRGB v2 of points"], RGB["sRGB v4"], GREY["dot gain"]])
def test_viewers_can_open_what_is_kept(content: bytes) -> None:
    channels = "L" if content[16:20] == b"GRAY" else "RGB"
    opened = ImageCms.ImageCmsProfile(io.BytesIO(cleaned(content, channels)))
    assert ImageCms.getProfileDescription(opened).strip() == "Colours of the picture"
    assert ImageCms.getProfileCopyright(opened).strip() == "None"


# What is no profile


@pytest.mark.parametrize(
    "content",
    [b"", SECRET, FACE, b"ICC_PROFILE" * 40, bytes(4000), LCMS_SRGB[:200], None, "a text", 7],
    ids=["empty", "text", "face", "name", "zeros", "cut", "nothing", "string", "number"],
)
def test_what_is_no_profile_is_dropped(content: object) -> None:
    assert clean_profile(content, channels="RGB") is None


@pytest.mark.parametrize(
    ("content", "channels"),
    [
        (RGB["sRGB v4"], "CMYK"),
        (GREY["gamma 2.2"], "RGB"),
        (GREY["gamma 2.2"], "CMYK"),
        (inks(INKS["of 8 bits"]), "RGB"),
        (inks(INKS["of 8 bits"]), "L"),
    ],
)
def test_profile_of_other_colours_than_the_pixels_is_dropped(content: bytes, channels: str) -> None:
    assert clean_profile(content, channels=channels) is None


@pytest.mark.parametrize("device", [b"link", b"abst", b"nmcl", b"face"])
def test_profile_that_does_not_say_what_a_pixel_is_is_dropped(device: bytes) -> None:
    assert clean_profile(profile(matrix_tags("sRGB", SRGB_FORMULA), device=device), channels="RGB") is None


@pytest.mark.parametrize("missing", [b"rXYZ", b"gTRC", b"wtpt"])
def test_profile_without_what_colour_needs_is_dropped(missing: bytes) -> None:
    tags = matrix_tags("sRGB", SRGB_FORMULA)
    del tags[missing]
    assert clean_profile(profile(tags), channels="RGB") is None


def test_a_picture_in_a_curve_is_dropped_with_it() -> None:
    points = np.frombuffer(FACE[: len(FACE) // 2 * 2], ">u2")
    content = profile(matrix_tags("sRGB", curve(points)))
    assert clean_profile(content, channels="RGB") is None


@pytest.mark.parametrize(
    "tone",
    [
        curve(np.arange(255, -1, -1) * 257),
        formula(0, -1.0),
        formula(3, 2.4, -1.0, 1.0, 1.0, 0.04),
        formula(0, 2.2)[:8] + b"\0\7\0\0" + bytes(28),
        b"curv" + bytes(4) + struct.pack(">I", 1 << 31),
    ],
    ids=["falling points", "negative exponent", "falling formula", "unknown formula", "too long"],
)
def test_a_curve_that_no_device_has_drops_the_profile(tone: bytes) -> None:
    assert clean_profile(profile(matrix_tags("sRGB", tone)), channels="RGB") is None


def face_as_grid(*, grey: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    picture = Image.fromarray(data.astronaut()).crop((120, 0, 320, 200)).resize((81, 81))
    if grey:
        picture = picture.convert("L").convert("RGB")
    return (np.asarray(picture) / 255).reshape(9, 9, 9, 9, 3)


@pytest.mark.parametrize("write", [table, steps], ids=["table", "steps"])
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
def test_a_picture_in_the_nodes_of_a_grid_drops_the_profile(write: Callable[..., bytes], grey: bool) -> None:  # noqa: FBT001
    assert clean_profile(inks(write(face_as_grid(grey=grey)), version=4), channels="CMYK") is None


def test_noise_in_the_nodes_of_a_grid_drops_the_profile() -> None:
    nodes = ink_nodes(9)
    nodes[..., 1:] = np.random.default_rng(0).random(nodes[..., 1:].shape)
    assert clean_profile(inks(table(nodes)), channels="CMYK") is None


@pytest.mark.parametrize("claimed", [(4, 3, 255), (15, 15, 255), (4, 3, 0), (4, 3, 1), (0, 3, 9)])
def test_a_grid_of_an_impossible_size_drops_the_profile(claimed: tuple[int, int, int]) -> None:
    element = bytearray(INKS["of 16 bits"])
    element[8:11] = bytes(claimed)
    assert clean_profile(inks(bytes(element)), channels="CMYK") is None


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(RGB)), at=st.integers(0, 2000), value=st.binary(min_size=1, max_size=8))
def test_damaged_profiles_are_dropped_or_clean_and_never_raise(name: str, at: int, value: bytes) -> None:
    content = bytearray(RGB[name])
    content[at : at + len(value)] = value
    kept = clean_profile(bytes(content), channels="RGB")
    assert kept is None or clean_profile(kept, channels="RGB") == kept


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(INKS)), at=st.integers(0, 1000), value=st.binary(min_size=1, max_size=8))
def test_damaged_tables_are_dropped_or_clean_and_never_raise(name: str, at: int, value: bytes) -> None:
    content = bytearray(inks(INKS[name], version=4))
    content[at : at + len(value)] = value
    kept = clean_profile(bytes(content), channels="CMYK")
    assert kept is None or clean_profile(kept, channels="CMYK") == kept


def test_usual_profiles_cost_less_than_a_millisecond() -> None:
    fastest = min(_seconds(RGB["sRGB v2 of points"]) for _ in range(20))
    assert fastest < 0.001


def _seconds(content: bytes) -> float:
    start = time.thread_time()
    cleaned(content)
    return time.thread_time() - start


def test_primaries_of_every_space_are_told_apart() -> None:
    assert len({cleaned(profile(matrix_tags(space, SRGB_FORMULA))) for space in PRIMARIES}) == len(PRIMARIES)
