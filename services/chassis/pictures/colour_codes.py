"""Primaries and tone curves by the code points that PNG (cICP) and HEIF (nclx) share with video."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.chassis.pictures.icc_builder import Curve, Primaries

_D65 = (0.3127, 0.3290)
_C = (0.310, 0.316)
SRGB_PRIMARIES = Primaries(red=(0.640, 0.330), green=(0.300, 0.600), blue=(0.150, 0.060), white=_D65)
ADOBE_RGB_PRIMARIES = Primaries(red=(0.640, 0.330), green=(0.210, 0.710), blue=(0.150, 0.060), white=_D65)
ADOBE_RGB_GAMMA = 563 / 256

_SMPTE_170M = Primaries(red=(0.630, 0.340), green=(0.310, 0.595), blue=(0.155, 0.070), white=_D65)
# Source: ITU-T H.273, table 2. What is unspecified, reserved or one's own is shown as sRGB.
_PRIMARIES = {
    4: Primaries(red=(0.67, 0.33), green=(0.21, 0.71), blue=(0.14, 0.08), white=_C),
    5: Primaries(red=(0.64, 0.33), green=(0.29, 0.60), blue=(0.15, 0.06), white=_D65),
    6: _SMPTE_170M,
    7: _SMPTE_170M,
    8: Primaries(red=(0.681, 0.319), green=(0.243, 0.692), blue=(0.145, 0.049), white=_C),
    9: Primaries(red=(0.708, 0.292), green=(0.170, 0.797), blue=(0.131, 0.046), white=_D65),
    11: Primaries(red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060), white=(0.314, 0.351)),
    12: Primaries(red=(0.680, 0.320), green=(0.265, 0.690), blue=(0.150, 0.060), white=_D65),
    22: Primaries(red=(0.630, 0.340), green=(0.295, 0.605), blue=(0.155, 0.077), white=_D65),
}
# H.273, table 3. Screens show cameras' curves (BT.709, BT.601, BT.2020) by an exponent of 2.4: ITU-R BT.1886.
_GAMMAS = {1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 8: 1.0, 14: 2.4, 15: 2.4, 17: 2.6}
_PQ, _HLG = 16, 18
_SAMPLES = 1024
_DIFFUSE_WHITE_CD_M2, _PEAK_CD_M2 = 203.0, 10_000.0  # ITU-R BT.2408


def primaries(code: int) -> Primaries:
    """Of ColourPrimaries."""
    return _PRIMARIES.get(code, SRGB_PRIMARIES)


def curve(code: int) -> Curve:
    """Of TransferCharacteristics, as screens show it.

    Of the two of high dynamic range the highlights are pressed below white, so that all of the picture is seen.
    """
    if code in _GAMMAS:
        return _GAMMAS[code]
    signal = np.linspace(0, 1, _SAMPLES)
    if code == _PQ:
        return list(_pressed(_pq_light(signal) / _DIFFUSE_WHITE_CD_M2, _PEAK_CD_M2 / _DIFFUSE_WHITE_CD_M2))
    if code == _HLG:
        return list(_pressed(_hlg_light(signal) / _hlg_light(np.array([0.75])), 1 / float(_hlg_light(np.array(0.75)))))
    return srgb_curve()


def says_srgb(primaries_code: int, curve_code: int) -> bool:
    """Whether the two mean sRGB, or nothing in particular."""
    return primaries(primaries_code) is SRGB_PRIMARIES and curve_code not in {*_GAMMAS, _PQ, _HLG}


def srgb_curve() -> Curve:
    """IEC 61966-2-1."""
    signal = np.linspace(0, 1, _SAMPLES)
    return list(np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4))  # noqa: PLR2004


def _pq_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Candela a square metre. Source: SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    return np.asarray(_PEAK_CD_M2 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))


def _hlg_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the scene, 0 to 1. Source: ITU-R BT.2100, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12))  # noqa: PLR2004


def _pressed(light: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """Light in units of diffuse white, up to `peak`, to 0 to 1.

    Source: Reinhard et al., "Photographic tone reproduction for digital images" (SIGGRAPH 2002), equation 4.
    """
    return light * (1 + light / peak**2) / (1 + light)
