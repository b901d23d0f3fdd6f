"""An exported codec at work: photographs to bytes and back.

Runs the light form of a model (`hardmine.trainers.runtime`), and the SavedModel where
that is all there is or TensorFlow is asked for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH, STRIDE_PX, USUAL_ITERATIONS
from hardmine.schemas.config import require
from hardmine.schemas.exported_model import read_facts
from hardmine.trainers.codec.entropy.coder import EntropyCoder
from hardmine.trainers.codec.entropy.coding import load_coder
from hardmine.trainers.codec.running import tile_coding
from hardmine.trainers.codec.running.adaptive import AdaptiveEncoder
from hardmine.trainers.codec.running.coding_network import CodingNetwork, open_network
from hardmine.trainers.codec.running.grey import GreyNetwork, is_grey
from hardmine.trainers.codec.running.memory import Needs
from hardmine.trainers.codec.running.rate_control import Compressed, Encoder, Target
from hardmine.trainers.codec.shipped import DEFAULT, find_model
from hardmine.trainers.codec.side_chunks.beside import Beside, pack_side, read_beside
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.codec.streams.tiling import Grid
from hardmine.trainers.photo_metadata.metadata import Metadata
from hardmine.trainers.runtime.choice import choose_runtime

E = TypeVar("E")  # a kind of encoder


class Codec:
  """Compresses with one model.

  A picture of more than a megapixel is split into tiles (`tiling`), so that
  what coding takes of memory does not grow with it.

  Attributes:
    model_id: the eight bytes that name the model in a stream.
    facts: the exported `codec.json`.
    padding_px: images are padded to a multiple of this.
    iterations: those that help, of those that it was trained for.
    max_iterations: those that it can do; without a clock any number, though further
      ones can make an image worse.
    sends_gains: its streams carry a gain an iteration.
    code_depth: bits per 16x16 pixels and iteration, 32, or 16 of the networks of 2015.
    needs: what coding takes of memory.
    entropy_id: the eight bytes that name its entropy model in a stream; None where it
      has none, and bits stay as they are.
  """

  def __init__(
    self,
    network: CodingNetwork,
    facts: dict[str, Any],
    needs: Needs | None = None,
    coder: EntropyCoder | None = None,
  ):
    """Takes a network as it is.

    Args:
      network: of the model.
      facts: the exported `codec.json`.
      needs: of the same; None knows no more than the facts.
      coder: makes the bits of streams fewer; None leaves them as they are.
    """
    self._network, self._coder = network, coder
    self.entropy_id = coder.entropy_id if coder else None
    self.needs = needs or Needs(config=facts["config"], light=False)
    self.facts = facts
    self.model_id = bytes.fromhex(facts["model_id"])
    config = facts["config"]
    told_apart = config.get("clock") or config.get("own_weights")
    self.max_iterations = int(told_apart or bitstream.MAX_ITERATIONS)
    self.iterations = min(
      int(facts.get("iterations") or _trained_iterations(facts)), self.max_iterations
    )
    self.sends_gains = bool(config.get("sent_gain", False))
    self.code_depth = int(facts.get("code_depth", CODE_DEPTH))
    self.padding_px = int(facts.get("padding_px") or _padding_px(config))

  @classmethod
  def load(
    cls,
    model_dir: str | os.PathLike = DEFAULT,
    runtime: str | None = None,
    num_threads: int | None = None,
  ) -> Codec:
    """Loads what `hardmine.trainers.codec.exports.export` wrote.

    Args:
      model_dir: the exported model, or the name of one that ships.
      runtime: see `hardmine.trainers.runtime.choice.choose_runtime`.
      num_threads: of one call; None takes the processors that this process may use.

    Raises:
      ValueError: the folder is not an exported codec, or no such runtime.
      RuntimeError: the runtime is not installed.
    """
    model_dir = find_model(model_dir)
    facts = read_facts(model_dir, "codec")
    runtime = choose_runtime(model_dir, runtime)
    network = open_network(model_dir, runtime, num_threads)
    return cls(network, facts, Needs.of(model_dir, runtime), load_coder(model_dir))

  def encode_codes(
    self, image: np.ndarray, iterations: int
  ) -> tuple[np.ndarray, np.ndarray]:
    """The bits of an image, all of it at once.

    Args:
      image: uint8 [h, w, 3], any size from 1x1.
      iterations: 1 to `max_iterations`; each costs `code_depth` bits per 16x16 pixels.

    Returns:
      Codes, uint8 [iterations, rows, columns, depth] of 0 and 1, and gains, uint8
      [iterations], zeros where the model sends none.
    """
    _check_image(image)
    self._check_iterations(iterations)
    return self._network.encode(image, iterations)

  def decode_codes(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    height_px: int,
    width_px: int,
  ) -> np.ndarray:
    """The image, uint8 [height_px, width_px, 3], after all iterations of `codes`."""
    require(
      codes.ndim == 4 and codes.shape[-1] == self.code_depth and len(codes) > 0,
      f"codes as uint8 [iterations, rows, columns, {self.code_depth}]",
      shape=codes.shape,
    )
    self._check_iterations(len(codes))
    return self._network.decode(codes, gains, height_px, width_px)

  def reconstructions(self, image: np.ndarray, iterations: int) -> np.ndarray:
    """What decoding `compress`'s stream gives after every iteration.

    Returns:
      uint8 [iterations, h, w, 3], which is all that is held at once.
    """
    _check_image(image)
    self._check_iterations(iterations)
    height_px, width_px, _ = image.shape
    grid = Grid.over(height_px, width_px, self.needs.splitting.of(height_px, width_px))
    network = self._network_for(is_grey(image))
    return tile_coding.reconstruct_tiles(network, image, grid, iterations)

  def compress(
    self,
    image: np.ndarray,
    *,
    iterations: int | None = None,
    bpp: float | None = None,
    max_bytes: int | None = None,
    ms_ssim: float | None = None,
    metadata: Metadata | None = None,
    entropy: bool = True,
    adaptive: bool = False,
  ) -> bytes:
    """A stream (`hardmine.trainers.codec.streams.bitstream`) of an image.

    Of the four targets one may be given; without any, as many iterations as help are
    written. `compress_to` says what was reached.

    Args:
      image: uint8 [h, w, 3], or [h, w, 4] with an alpha that colours are not
        multiplied by; it is kept without loss, where it is not opaque everywhere.
      iterations: exactly so many, 1 to `max_iterations`.
      bpp: the file's bits per pixel, all that is in it counted, are at most this;
        never more iterations than help.
      max_bytes: its bytes are; likewise.
      ms_ssim: the first iteration that reaches it is the last; likewise.
      metadata: to go along.
      entropy: bits are coded where the model knows how; False leaves them raw.
      adaptive: every 16x16 pixels get as many iterations as they are worth, which the
        stream tells in a height map (`hardmine.trainers.codec.running.adaptive`). It
        takes some times as long, and goes with every target but `iterations`.

    Raises:
      ValueError: two targets, or not even one iteration fits.
    """
    target = Target(
      iterations=iterations, bpp=bpp, max_bytes=max_bytes, ms_ssim=ms_ssim
    )
    return self.compress_to(
      image, target, metadata=metadata, entropy=entropy, adaptive=adaptive
    ).data

  def compress_to(
    self,
    image: np.ndarray,
    target: Target,
    *,
    metadata: Metadata | None = None,
    max_iterations: int | None = None,
    entropy: bool = True,
    adaptive: bool = False,
  ) -> Compressed:
    """A stream, and what came of its target; see `compress`.

    Args:
      image: likewise.
      target: where to stop.
      metadata: to go along.
      max_iterations: fewer than those that help; None is those.
      entropy: as there.
      adaptive: as there.
    """
    target.check(adaptive)
    _check_image(image, channels=(3, 4))
    most = target.iterations or min(self.iterations, max_iterations or self.iterations)
    self._check_iterations(most)
    kind = AdaptiveEncoder if adaptive else Encoder
    return self._encoder(kind, image, most, metadata, entropy).to(target)

  @property
  def can_adapt(self) -> bool:
    """Whether its streams may have height maps, as runtimes but TensorFlow do them."""
    return self._network.takes_heights

  def adaptive_encoder(
    self, image: np.ndarray, iterations: int | None = None
  ) -> AdaptiveEncoder:
    """Encodes a picture at several levels, which share a pass; see `compress`.

    Args:
      image: uint8 [h, w, 3].
      iterations: the most of a position; None takes those that help.
    """
    _check_image(image)
    most = iterations or self.iterations
    self._check_iterations(most)
    return self._encoder(AdaptiveEncoder, image, most, None, True)

  def _encoder(
    self,
    kind: Callable[..., E],
    image: np.ndarray,
    iterations: int,
    metadata: Metadata | None,
    entropy: bool,
  ) -> E:
    """An encoder of some kind, of one picture; see `compress`."""
    pixels, side = pack_side(image, metadata)
    height_px, width_px, _ = image.shape
    header = bitstream.Header(
      model_id=self.model_id,
      height_px=height_px,
      width_px=width_px,
      padding_px=self.padding_px,
      iterations=iterations,
      sends_gains=self.sends_gains,
      tiling=self.needs.splitting.of(height_px, width_px),
      code_depth=self.code_depth,
      grey=is_grey(pixels),
    )
    return kind(
      network=self._network_for(header.grey),
      coder=self._coder if entropy else None,
      header=header,
      image=pixels,
      side=side,
    )

  def decompress(self, data: bytes, *, iterations: int | None = None) -> np.ndarray:
    """The image of a stream, uint8 [h, w, 3], or [h, w, 4] of one with alpha.

    Args:
      data: a stream, or one cut short after at least one iteration.
      iterations: decode only so many; None decodes all that are whole.

    Raises:
      ValueError: damaged, or made with another model.
    """
    return self.decode_stream(bitstream.unpack(data, iterations))

  def decode_stream(
    self, stream: bitstream.Stream, beside: Beside | None = None
  ) -> np.ndarray:
    """As `decompress`, of what was unpacked, and of what `read_beside` found in it."""
    self.check(stream.header)
    self._check_iterations(stream.iterations)
    stream = stream.with_raw_bits(self._coder)
    window = self.needs.window(stream.header, stream.iterations)
    network = self._network_for(stream.header.grey)
    if window is None:
      image = tile_coding.decode_tiles(network, stream)
    else:
      image = tile_coding.decode_windows(network, stream, window)
    return (beside or read_beside(stream)).laid_on(image)

  def _network_for(self, grey: bool) -> CodingNetwork:
    return GreyNetwork(self._network) if grey else self._network

  def check(self, header: bitstream.Header) -> None:
    """Raises BitstreamError unless this model can have written such a stream."""
    bitstream.check_model(header, self.model_id)
    bitstream.check_entropy_model(header, self.entropy_id)
    ours = (self.sends_gains, self.padding_px, self.code_depth)
    theirs = (header.sends_gains, header.padding_px, header.code_depth)
    if ours != theirs or header.iterations > self.max_iterations:
      raise bitstream.BitstreamError(
        f"Expected a stream with gains={ours[0]}, padding of {ours[1]} px, {ours[2]} "
        f"bits a position and at most {self.max_iterations} iterations, as this model "
        f"writes. Received: gains={theirs[0]}, {theirs[1]} px, {theirs[2]} bits, "
        f"{header.iterations} iterations"
      )

  def _check_iterations(self, iterations: int) -> None:
    told_apart = self.facts["config"].keys() & {"clock", "own_weights"}
    which = ", as many as the model tells apart" if told_apart else ""
    require(
      1 <= iterations <= self.max_iterations,
      f"1 to {self.max_iterations} iterations{which}",
      iterations=iterations,
    )


def _padding_px(config: dict[str, Any]) -> int:
  """Of an export that does not say it: the gain network sees 32x32 pixels at once."""
  return 2 * STRIDE_PX if config["reconstruction"] == "residual_scaling" else STRIDE_PX


def _trained_iterations(facts: dict[str, Any]) -> int:
  training = facts.get("training", "{}")
  training = json.loads(training) if isinstance(training, str) else training
  return training.get("iterations", USUAL_ITERATIONS)


def _check_image(image: np.ndarray, channels: tuple[int, ...] = (3,)) -> None:
  require(
    image.ndim == 3
    and image.shape[2] in channels
    and image.dtype == np.uint8
    and image.size > 0,
    f"an image as uint8 [height, width, {' or '.join(map(str, channels))}]",
    shape=image.shape,
    dtype=str(image.dtype),
  )
