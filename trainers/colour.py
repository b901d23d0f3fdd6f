"""Colours as a file describes them to sRGB, which is what every model here sees.

Little CMS converts, by relative colorimetric intent with black point compensation:
colours that sRGB has come out as measured and only others are clipped, where a
perceptual table moves all of them to its maker's taste; the compensation keeps the
shadows of printing profiles, whose black is no zero. Of profiles of matrices and
curves, which nearly all photographs have, both intents are the same.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from hardmine.schemas.config import require
from hardmine.trainers.image_headers import Header

CONVERTED = "colour_converted"
IGNORED = "profile_ignored"
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # numbers of ITU-T H.273, as those below

# Profiles of sRGB differ in rounding and in their curve's foot; pixels that none of
# them would move further stay as they are.
_SAME_LEVELS = 2
_D50_XYZ = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
  [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D65 = (0.3127, 0.329)
_C = (0.31, 0.316)
_SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES = {  # white x, y, then those of red, green and blue
  1: (*_D65, *_SRGB_PRIMARIES),
  2: (*_D65, *_SRGB_PRIMARIES),  # not said
  4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
  5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
  6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
  7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
  8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
  9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
  11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
  12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
  22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
# g, a, b, c, d of linear = (a v + b)^g from d on, and c v below.
_Curve = tuple[float, float, float, float, float]
_SRGB_CURVE: _Curve = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# Video's functions (1, 6, 14, 15) describe cameras; such pictures are graded by eye
# on screens, whose curve is nearer to sRGB's.
_TRANSFERS: dict[int, _Curve] = {
  **dict.fromkeys((1, 2, 6, 13, 14, 15), _SRGB_CURVE),
  4: (2.2, 1.0, 0.0, 0.0, 0.0),
  5: (2.8, 1.0, 0.0, 0.0, 0.0),
  8: (1.0, 1.0, 0.0, 0.0, 0.0),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversion:
  """How the pixels of an image become sRGB.

  Attributes:
    transform: Little CMS's, to RGB.
    levels: instead of it for grey, which so stays exactly neutral: what each of the
      256 becomes.
  """

  transform: ImageCms.ImageCmsTransform
  levels: tuple[int, ...] | None = None

  def __call__(self, image: Image.Image) -> Image.Image:
    """Converts an image of the mode it was planned for, to RGB or L."""
    if self.levels is not None:
      return image.point(self.levels)
    converted = ImageCms.applyTransform(image, self.transform)
    assert converted is not None  # it is only when it works in place
    return converted


def plan(
  mode: str, kind: str, info: Mapping[Any, Any], header: Header
) -> tuple[Conversion | None, str | None]:
  """Finds out what to do to pixels, without any.

  Of several descriptions the first holds: PNG's cICP, an ICC profile, an AVIF's
  nclx, PNG's sRGB, its gAMA and cHRM. Without any, colours are sRGB already.

  Args:
    mode: Pillow's, of the pixels: L, RGB, CMYK or LAB.
    kind: Pillow's word for the file's format.
    info: Pillow's, of the image.
    header: of the same file.

  Returns:
    The conversion, None where pixels stay, and `CONVERTED`, or `IGNORED` for a
    description that is damaged or that Little CMS cannot use, or None.
  """
  try:
    profile = _profile(mode, kind == "PNG", info, header)
    conversion = None if profile is None else _conversion(profile, mode)
  except Exception:  # whatever is wrong with a profile, the picture is still there
    return None, IGNORED
  return conversion, None if conversion is None else CONVERTED


def hdr_transfer(info: Mapping[Any, Any], header: Header) -> str:
  """The name of the transfer function of a high dynamic range, or empty."""
  numbers = [header.code_points[1]] if header.code_points else []
  profile = info.get("icc_profile") or header.icc_profile or b""
  if len(profile) >= 132:  # ICC 4.4 has a tag of the same numbers
    (num_tags,) = struct.unpack_from(">I", profile, 128)
    table = profile[132 : 132 + 12 * min(num_tags, 100)]
    for place in range(0, len(table) - 11, 12):
      kind, offset, _ = struct.unpack_from(">4sII", table, place)
      if kind == b"cicp" and offset + 10 <= len(profile):
        numbers.append(profile[offset + 9])
  return next((HDR_TRANSFERS[n] for n in numbers if n in HDR_TRANSFERS), "")


def _profile(
  mode: str, is_png: bool, info: Mapping[Any, Any], header: Header
) -> bytes | None:
  """The ICC profile of an image's description, None if it is sRGB's.

  Raises:
    ValueError: its description cannot be right, or has numbers that are not known.
  """
  embedded = header.icc_profile
  if "icc_profile" in info:  # None where Pillow found it damaged
    require(info["icc_profile"], "an ICC profile", icc_profile=info["icc_profile"])
    embedded = info["icc_profile"]
  if mode == "CMYK":
    return embedded
  if mode == "LAB":
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
  if header.code_points and (is_png or not embedded):
    return _profile_of_code_points(header.code_points, is_png)
  if embedded:
    return embedded
  if is_png and "srgb" not in info and {"gamma", "chromaticity"} & set(info):
    return _profile_of_png(info)
  return None


def _profile_of_code_points(
  codes: tuple[int, int, int, int], is_png: bool
) -> bytes | None:
  primaries, transfer, matrix, full_range = codes
  require(primaries in _PRIMARIES, "known colour primaries", primaries=primaries)
  require(transfer in _TRANSFERS, "a known transfer function", transfer=transfer)
  if is_png:  # elsewhere the decoder has dealt with both
    require((matrix, full_range) == (0, 1), "RGB of full range", cicp=codes)
  return _matrix_profile(_PRIMARIES[primaries], _TRANSFERS[transfer])


def _profile_of_png(info: Mapping[Any, Any]) -> bytes:
  chromaticity, curve = info.get("chromaticity", _PRIMARIES[1]), _SRGB_CURVE
  is_srgb = np.allclose(chromaticity, _PRIMARIES[1], atol=0.002)
  if "gamma" in info:
    gamma = info["gamma"]
    require(0.05 <= gamma <= 5, "a gamma from 0.05 to 5", gamma=gamma)
    # The PNG standard has writers of sRGB put 1 / 2.2 here, for simpler readers.
    if not (is_srgb and abs(gamma * 2.2 - 1) < 0.01):
      curve = (1 / gamma, 1.0, 0.0, 0.0, 0.0)
  return _matrix_profile(chromaticity, curve)


def _matrix_profile(chromaticity: tuple[float, ...], curve: _Curve) -> bytes:
  """An ICC profile, version 4, of a display.

  Args:
    chromaticity: x, y of white, red, green and blue.
    curve: of all three channels.

  Raises:
    ValueError: these are not eight numbers, or span no triangle around white.
  """
  xy = np.array(chromaticity, np.float64).reshape(4, 2)
  require(bool((xy[:, 1] > 0).all()), "y above 0", chromaticity=chromaticity)
  xyz = np.column_stack([xy[:, 0], xy[:, 1], 1 - xy.sum(1)]) / xy[:, 1:]
  weights = np.linalg.solve(xyz[1:].T, xyz[0])  # numpy's error is a ValueError, too
  is_inside = bool((weights > 0).all())
  require(is_inside, "white between primaries", chromaticity=chromaticity)
  cones = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ xyz[0])
  adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD
  columns = (adapted @ (xyz[1:].T * weights)).T
  tags = [(b"wtpt", b"XYZ \0\0\0\0" + _fixed(_D50_XYZ))]
  for letter, column in zip((b"r", b"g", b"b"), columns):
    tags.append((letter + b"XYZ", b"XYZ \0\0\0\0" + _fixed(column)))
    tags.append((letter + b"TRC", b"para\0\0\0\0\0\3\0\0" + _fixed(curve)))
  return _icc_file(tags)


def _icc_file(tags: list[tuple[bytes, bytes]]) -> bytes:
  table, body = struct.pack(">I", len(tags)), b""
  for name, value in tags:
    offset = 132 + 12 * len(tags) + len(body)
    table += struct.pack(">4sII", name, offset, len(value))
    body += value
  header = struct.pack(
    ">I4xI4s4s4s12x4s28x12s48x",
    132 + 12 * len(tags) + len(body),
    0x04200000,
    b"mntr",
    b"RGB ",
    b"XYZ ",
    b"acsp",
    _fixed(_D50_XYZ),
  )
  return header + table + body


def _fixed(numbers: Any) -> bytes:
  """Numbers of 16 bits before the binary point and 16 behind it."""
  scaled = [round(float(number) * 65536) for number in numbers]
  return struct.pack(f">{len(scaled)}i", *scaled)


@functools.lru_cache(maxsize=16)  # the photographs of a camera share one profile
def _conversion(profile: bytes, mode: str) -> Conversion | None:
  """None if nothing would change.

  Raises:
    ValueError: a profile for other pixels than these.
    OSError, ImageCms.PyCMSError: Little CMS cannot use it.
  """
  source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
  space, kind = source.profile.xcolor_space, source.profile.device_class
  spaces = {"L": ("GRAY", "RGB "), "LAB": ("Lab ",)}.get(mode, (mode.ljust(4),))
  require(space in spaces, f"a profile of {mode} pixels", space=space)
  require(kind in ("mntr", "scnr", "prtr", "spac", "abst"), "a device's", kind=kind)
  # Viewers take a profile of RGB for grey pixels as well, as three equal channels.
  pixels = "RGB" if mode == "L" and space == "RGB " else mode
  transform = ImageCms.buildTransform(
    source,
    ImageCms.createProfile("sRGB"),
    pixels,
    "RGB",
    renderingIntent=_intent(source),
    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
  )
  conversion = Conversion(transform=transform)
  if mode == "L":
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    grey = np.asarray(conversion(ramp.convert(pixels)).convert("L"))[0]
    conversion = Conversion(transform=transform, levels=tuple(grey.tolist()))
    return None if _is_same(np.arange(256), grey) else conversion
  if mode == "RGB":
    side = np.linspace(0, 255, 17).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(side, side, side), -1).reshape(17, -1, 3)
    if _is_same(colours, np.asarray(conversion(Image.fromarray(colours)))):
      return None
  return conversion


def _intent(source: ImageCms.ImageCmsProfile) -> ImageCms.Intent:
  """Of a table for perception alone, Little CMS finds no black by another intent."""
  measured, perceived = (
    ImageCms.Intent.RELATIVE_COLORIMETRIC,
    ImageCms.Intent.PERCEPTUAL,
  )
  has, direction = source.profile.is_intent_supported, ImageCms.Direction.INPUT
  if has(perceived, direction) and not has(measured, direction):
    return perceived
  return measured


def _is_same(before: np.ndarray, after: np.ndarray) -> bool:
  return bool(np.abs(before.astype(int) - after).max() <= _SAME_LEVELS)
