"""The built-in manifest, and what an owner may lay over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.chassis.errors import InvalidRequest
from services.chassis.models.manifest import HttpsSource, load_manifest, model_id

OWN_MODEL = """
[own]
tier = "embedder"
architecture = "mobilefacenet"
input = "112x112 RGB"
file = "own.pt"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
size_bytes = 1
license = "MIT"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "manifest.toml"
    path.write_text(text)
    return path


def test_built_in_manifest_names_exactly_the_models_of_the_design() -> None:
    assert list(load_manifest()) == [
        "blazeface-short",
        "blazeface-full",
        "retinaface-mobilenet025",
        "retinaface-resnet50",
        "mobilefacenet",
        "curricularface-ir101",
        "curricularface-ir101-glint360k",
    ]


def test_light_set_is_the_small_models() -> None:
    assert [entry.name for entry in load_manifest().values() if entry.light] == [
        "blazeface-short",
        "blazeface-full",
        "retinaface-mobilenet025",
        "mobilefacenet",
    ]


def test_every_built_in_model_has_its_own_sha256_and_a_source() -> None:
    entries = load_manifest().values()
    assert len({entry.sha256 for entry in entries}) == len(entries)
    assert all(entry.sources for entry in entries)


def test_built_in_urls_leave_this_machine_encrypted() -> None:
    sources = [source for entry in load_manifest().values() for source in entry.sources]
    assert all(source.url.startswith("https://") for source in sources if isinstance(source, HttpsSource))


def test_github_sources_are_pinned_to_a_commit_or_a_release() -> None:
    urls = [
        s.url for e in load_manifest().values() for s in e.sources if isinstance(s, HttpsSource) and "github" in s.url
    ]
    assert len(urls) == 4
    assert all("a6cc9032a659b615f477833e1a70b5e7931bcccc" in url or "/releases/download/v0.1.0/" in url for url in urls)


def test_model_id_is_the_name_and_twelve_digits_of_the_sha256() -> None:
    assert load_manifest()["mobilefacenet"].model_id == "mobilefacenet@90a00ba1d8b0"
    assert model_id("own", "0123456789abcdef" * 4) == "own@0123456789ab"


def test_only_a_calibrated_model_has_a_threshold() -> None:
    thresholds = {entry.name: entry.threshold.value for entry in load_manifest().values() if entry.threshold}
    assert thresholds == {"mobilefacenet": 0.29}


def test_owner_adds_a_model(tmp_path: Path) -> None:
    entries = load_manifest(write(tmp_path, OWN_MODEL))
    assert list(entries)[-1] == "own"
    assert entries["own"].sources == ()
    assert entries["mobilefacenet"] == load_manifest()["mobilefacenet"]


def test_owner_adds_a_threshold_to_a_built_in_model_and_the_rest_stays(tmp_path: Path) -> None:
    path = write(tmp_path, '[curricularface-ir101]\nthreshold = { value = 0.35, calibrated_on = "our staff" }')
    entry = load_manifest(path)["curricularface-ir101"]
    assert entry.threshold is not None
    assert entry.threshold.value == 0.35
    assert entry.model_copy(update={"threshold": None}) == load_manifest()["curricularface-ir101"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (OWN_MODEL.replace("0000", "000g", 1), "own.sha256"),
        (OWN_MODEL.replace("own.pt", "../own.pt"), "own.file"),
        (OWN_MODEL.replace("own.pt", ".lock"), "own.file"),
        (OWN_MODEL.replace("[own]", "[Own]"), "Own.name"),
        (OWN_MODEL.replace("embedder", "anonymizer"), "own.tier"),
        (OWN_MODEL + 'colour = "red"', "own.colour"),
        (OWN_MODEL.replace('license = "MIT"', ""), "own.license"),
        (OWN_MODEL.replace("own.pt", "mobilefacenet.pt"), "share one file name: mobilefacenet.pt"),
        (OWN_MODEL + 'sources = [{ kind = "ftp", url = "ftp://example.org" }]', "own.sources.0"),
        (OWN_MODEL + 'sources = [{ kind = "https", url = "http://example.org/own.pt" }]', "must be an https:// URL"),
        (OWN_MODEL + 'sources = [{ kind = "https", url = "https:own.pt" }]', "must be an https:// URL"),
        (OWN_MODEL + "threshold = { value = 1.5, calibrated_on = 'nothing' }", "own.threshold.value"),
        ("own = 1", "own"),
        ("[own", "end of document"),
    ],
)
def test_wrong_manifest_is_refused_and_the_message_says_where(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InvalidRequest) as raised:
        load_manifest(path)
    assert str(path) in str(raised.value)
    assert complaint in str(raised.value)


def test_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        load_manifest(tmp_path / "absent.toml")
