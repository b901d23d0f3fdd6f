"""Boxes drawn on pictures, for reports, TensorBoard and `hardmine detect`."""

from __future__ import annotations

import colorsys
import functools
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hardmine.schemas.config import require

Colour = tuple[int, int, int]

_GOLDEN_SHARE = 0.6180339887498949  # of the hue circle, from one key to the next
_LIGHTNESSES = (0.4, 0.5, 0.66)
_HEADING_COLOUR, _PAPER = (15, 23, 42), (255, 255, 255)


def colour_of(key: int) -> Colour:
  """The colour of a category, the same in every picture.

  Args:
    key: a category id or a label. Keys that follow each other get hues far apart.

  Returns:
    Red, green, blue in 0..255.
  """
  hue = (key * _GOLDEN_SHARE + 0.72) % 1.0  # 1 is green: it shows on most pictures
  lightness = _LIGHTNESSES[key % len(_LIGHTNESSES)]
  red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.9)
  return round(255 * red), round(255 * green), round(255 * blue)


def draw_boxes(
  pixels: np.ndarray,
  boxes_yxyx_px: np.ndarray,
  captions: Sequence[str],
  colour_keys: Sequence[int] | np.ndarray,
  *,
  line_px: int | None = None,
  font_px: int | None = None,
) -> np.ndarray:
  """Outlines boxes, each with its caption on a filled tag.

  Only the outlines and the tags change; both stay inside the picture. Boxes are cut
  at its borders; those outside it, or with a coordinate that is not finite, are
  left out.

  Args:
    pixels: uint8 [height, width, 3], not changed.
    boxes_yxyx_px: [n, 4] ymin, xmin, ymax, xmax, best first: the first is on top.
    captions: n texts; an empty one draws no tag. Letters outside ASCII lose their
      accents, or become a question mark.
    colour_keys: n category ids or labels.
    line_px: width of the outlines; None takes what suits the picture's size.
    font_px: size of the captions; None likewise.

  Returns:
    uint8 [height, width, 3].
  """
  boxes_yxyx_px = np.asarray(boxes_yxyx_px, np.float64)
  require(
    pixels.ndim == 3
    and pixels.shape[2] == 3
    and pixels.dtype == np.uint8
    and pixels.size > 0,
    "a picture as uint8 [height, width, 3]",
    shape=pixels.shape,
    dtype=str(pixels.dtype),
  )
  num = len(captions)
  require(
    boxes_yxyx_px.shape == (num, 4) and len(colour_keys) == num,
    "as many boxes [n, 4] as captions and colour keys",
    boxes_yxyx_px=boxes_yxyx_px.shape,
    captions=num,
    colour_keys=len(colour_keys),
  )
  height_px, width_px, _ = pixels.shape
  line_px = _suitable_line_px(height_px, width_px) if line_px is None else line_px
  font_px = _suitable_font_px(height_px, width_px) if font_px is None else font_px
  require(
    line_px > 0 and font_px > 0, "sizes above 0", line_px=line_px, font_px=font_px
  )
  image = Image.fromarray(pixels)
  draw = ImageDraw.Draw(image)
  font = _font(font_px)
  for index in reversed(range(num)):
    corners = _inside(boxes_yxyx_px[index], height_px, width_px)
    if corners is None:
      continue
    colour = colour_of(int(colour_keys[index]))
    left, top, right, bottom = corners
    draw.rectangle((left, top, right, bottom), outline=colour, width=line_px)
    if captions[index]:
      _draw_tag(draw, _plain(captions[index]), left, top, colour, font, image.size)
  return np.array(image)


def ground_truth_beside_predictions(
  pixels: np.ndarray,
  *,
  truth_boxes_yxyx_px: np.ndarray,
  truth_keys: Sequence[int] | np.ndarray,
  boxes_yxyx_px: np.ndarray,
  keys: Sequence[int] | np.ndarray,
  scores: Sequence[float] | np.ndarray,
  names: Mapping[int, str],
  min_score: float = 0.3,
  max_side_px: int | None = None,
) -> np.ndarray:
  """One picture twice: with the objects it has, and with those that were found.

  Args:
    pixels: uint8 [height, width, 3].
    truth_boxes_yxyx_px: [m, 4].
    truth_keys: m category ids or labels.
    boxes_yxyx_px: [n, 4], best first.
    keys: n category ids or labels.
    scores: n scores in [0, 1].
    names: of every category id or label.
    min_score: detections below it are left out.
    max_side_px: a larger picture is shrunk to it before drawing, so that lines and
      captions stay readable.

  Returns:
    uint8 [height + heading, 2 * width + gap, 3].
  """
  truth = np.asarray(truth_boxes_yxyx_px, np.float64).reshape(-1, 4)
  found = np.asarray(boxes_yxyx_px, np.float64).reshape(-1, 4)
  scores = np.asarray(scores, np.float64)
  pixels, scale_yxyx = shrink(pixels, max_side_px)
  shown = [index for index in range(len(found)) if scores[index] >= min_score]
  left = draw_boxes(
    pixels, truth * scale_yxyx, [names[int(key)] for key in truth_keys], truth_keys
  )
  right = draw_boxes(
    pixels,
    found[shown] * scale_yxyx,
    [f"{names[int(keys[i])]} {scores[i]:.2f}" for i in shown],
    [int(keys[i]) for i in shown],
  )
  height_px, width_px, _ = pixels.shape
  font_px = _suitable_font_px(height_px, width_px)
  gap_px, heading_px = max(4, width_px // 50), round(1.8 * font_px)
  paper = Image.new("RGB", (2 * width_px + gap_px, height_px + heading_px), _PAPER)
  draw = ImageDraw.Draw(paper)
  headings = ("ground truth", f"found, score >= {min_score:g}")
  for column, (heading, side) in enumerate(zip(headings, (left, right))):
    x = column * (width_px + gap_px)
    # The picture second: it covers a heading that is too long.
    draw.text((x + 2, heading_px / 2), heading, _HEADING_COLOUR, _font(font_px), "lm")
    paper.paste(Image.fromarray(side), (x, heading_px))
  return np.array(paper)


def shrink(
  pixels: np.ndarray, max_side_px: int | None
) -> tuple[np.ndarray, np.ndarray]:
  """A picture with no side longer than asked for, and what its boxes grow by.

  Returns:
    uint8 [height, width, 3], and float64 [4] to multiply `boxes_yxyx_px` with.
  """
  height_px, width_px, _ = pixels.shape
  if max_side_px is None or max(height_px, width_px) <= max_side_px:
    return pixels, np.ones(4)
  share = max_side_px / max(height_px, width_px)
  size = (max(1, round(width_px * share)), max(1, round(height_px * share)))
  small = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
  scale_y, scale_x = size[1] / height_px, size[0] / width_px
  return np.array(small), np.array([scale_y, scale_x, scale_y, scale_x])


def _inside(
  box_yxyx_px: np.ndarray, height_px: int, width_px: int
) -> tuple[int, int, int, int] | None:
  """Left, top, right, bottom: the first and last pixels that a box touches."""
  if not np.isfinite(box_yxyx_px).all():
    return None
  ymin, xmin, ymax, xmax = box_yxyx_px.tolist()
  if ymin >= height_px or xmin >= width_px or ymax < 0 or xmax < 0:
    return None
  left, top = max(0, int(xmin)), max(0, int(ymin))
  # Of an empty or inverted box one pixel is left, for something is wrong with it.
  right = max(left, min(width_px, int(np.ceil(xmax))) - 1)
  bottom = max(top, min(height_px, int(np.ceil(ymax))) - 1)
  return left, top, right, bottom


def _draw_tag(
  draw: ImageDraw.ImageDraw,
  text: str,
  left: int,
  top: int,
  colour: Colour,
  font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
  size: tuple[int, int],
) -> None:
  """The tag above a box's upper left corner, or inside it where there is no room."""
  # Of letters with and without descenders, so that all tags have one height.
  _, ascent, _, descent = draw.textbbox((0, 0), "Agjpqy|", font)
  pad_px = max(1, round((descent - ascent) * 0.15))
  tag_width = round(draw.textlength(text, font)) + 2 * pad_px
  tag_height = round(descent - ascent) + 2 * pad_px
  x = max(0, min(left, size[0] - tag_width))
  y = top - tag_height if top >= tag_height else top
  y = max(0, min(y, size[1] - tag_height))
  draw.rectangle((x, y, x + tag_width - 1, y + tag_height - 1), fill=colour)
  draw.text((x + pad_px, y + pad_px - ascent), text, _readable_on(colour), font)


def _readable_on(colour: Colour) -> Colour:
  """White or nearly black, whichever stands out more (WCAG's relative luminance)."""
  linear = [((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
  luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
  return (15, 15, 15) if luminance > 0.18 else (255, 255, 255)


def _plain(text: str) -> str:
  """ASCII in one line, which is what Pillow's built-in font has."""
  folded = unicodedata.normalize("NFKD", text)
  kept = "".join(letter for letter in folded if not unicodedata.combining(letter))
  one_line = "".join(letter if letter.isprintable() else "?" for letter in kept)
  return one_line.encode("ascii", "replace").decode("ascii")


def _suitable_line_px(height_px: int, width_px: int) -> int:
  return max(1, round(max(height_px, width_px) / 250))


def _suitable_font_px(height_px: int, width_px: int) -> int:
  return max(11, round(max(height_px, width_px) / 38))


@functools.lru_cache(8)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
  return ImageFont.load_default(size_px)
