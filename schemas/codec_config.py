"""Which recurrent codec: cell, reconstruction framework and sizes."""

from __future__ import annotations

import dataclasses
from typing import Literal

from hardmine.schemas.config import Config, added, require

CODE_DEPTH = 32  # bits per 16x16 block and iteration (1608.05148, section 3)
CODE_DEPTH_2015 = 16  # 4 bits per 8x8 pixels (1511.06085, sections 3.2 to 3.5)
USUAL_ITERATIONS = 16  # of 1608.05148: 2 bits per pixel before entropy coding
STRIDE_PX = 16  # one code position covers 16x16 pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecConfig(Config):
  """A network of Toderici et al. 2016 (arXiv 1608.05148) or 2015 (1511.06085).

  Attributes:
    cell: the recurrent unit, a class under `hardmine.trainers.codec.cells`.
    reconstruction: how iterations add up to an image (section 3.2 of the paper).
    width: multiplies every depth except the code's 32 bits and the 3 colours;
      1 is the papers' network, and depths are rounded to a multiple of 4.
    use_bias: bias vectors on the gates (forget bias 1). The plain convolutions
      never have one.
    d_rnn1_kernel: input kernel of the first decoder unit. The paper's figure is
      read as 2x2 or 3x3; re-implementations use 3.
    output_activation: `tanh` halves tanh into (-0.5, 0.5); `linear` leaves the
      last convolution as it is.
    gain_input: what the gain estimator of residual scaling sees.
    sent_gain: the encoder brings every iteration's residual to unit size by a factor
      2^(k/4), whose k costs one byte of the stream, and the decoder divides by it.
      Goes with additive reconstruction and a linear output.
    deep_width: `width` of the layers that work on an eighth of the resolution and below
      (E-RNN#2 and #3, D-Conv#1, D-RNN#1 and #2); None takes `width`. They hold most
      of the weights and take the least time.
    clock: iterations that encoder and decoder tell apart by a one-hot input, from
      then on as the last; 0 tells none apart.
    network: `full_resolution` is that of 2016, with 32 bits per 16x16 pixels and
      iteration. The two of 2015 have 16: `fully_connected` sees 8x8 patches, each by
      itself, and `convolutional` an eighth of the resolution.
    own_weights: passes of a 2015 network that have weights of their own; 0 shares one
      set among all. The unit must know how, as `FeedforwardCell` does.
    priming: further passes of the first iteration, whose codes and images nobody sees
      but whose states stay (Johnston et al. 2017, arXiv 1703.10114): the
      encoder's of the whole image, the decoder's of the first codes.
    diffusion: likewise in each further iteration.
  """

  cell: type
  reconstruction: Literal["one_shot", "additive", "residual_scaling"] = "additive"
  width: float = 1.0
  use_bias: bool = False
  d_rnn1_kernel: int = 3
  output_activation: Literal["tanh", "linear"] = "tanh"
  gain_input: Literal["reconstruction", "residual"] = "reconstruction"
  sent_gain: bool = added(False)
  deep_width: float | None = added(None)
  clock: int = added(0)
  network: Literal["full_resolution", "fully_connected", "convolutional"] = added(
    "full_resolution"
  )
  own_weights: int = added(0)
  priming: int = added(0)
  diffusion: int = added(0)

  def __post_init__(self):
    for name in ("width", "deep_width"):
      value = getattr(self, name)
      require(value is None or 0 < value <= 4, f"0 < {name} <= 4", **{name: value})
    require(self.d_rnn1_kernel in (2, 3), "2 or 3", d_rnn1_kernel=self.d_rnn1_kernel)
    require(0 <= self.clock <= 255, "0 <= clock <= 255", clock=self.clock)
    require(
      not self.sent_gain
      or (self.reconstruction == "additive" and self.output_activation == "linear"),
      "additive reconstruction and output_activation linear with sent_gain",
      reconstruction=self.reconstruction,
      output_activation=self.output_activation,
    )
    for name in ("priming", "diffusion"):
      value = getattr(self, name)
      require(0 <= value <= 16, f"0 <= {name} <= 16", **{name: value})
    self._check_2015()

  def _check_2015(self) -> None:
    """What only one of the papers' networks has."""
    require(
      0 <= self.own_weights <= 255,
      "0 <= own_weights <= 255",
      own_weights=self.own_weights,
    )
    if self.network == "full_resolution":
      require(
        not self.own_weights,
        "own_weights 0 in the full_resolution network",
        own_weights=self.own_weights,
      )
      return
    require(
      self.deep_width is None and not self.clock and self.d_rnn1_kernel == 3,
      f"no deep_width, clock or d_rnn1_kernel in the {self.network} network, which has "
      "no such layers",
      deep_width=self.deep_width,
      clock=self.clock,
      d_rnn1_kernel=self.d_rnn1_kernel,
    )
    require(
      not self.own_weights or getattr(self.cell, "takes_passes", False),
      "own_weights 0 with a cell that shares its weights among passes; FeedforwardCell "
      "can have some of each pass",
      own_weights=self.own_weights,
      cell=self.cell.__name__,
    )

  @property
  def code_depth(self) -> int:
    """Bits per 16x16 pixels and iteration."""
    return CODE_DEPTH if self.network == "full_resolution" else CODE_DEPTH_2015

  @property
  def bpp_per_iteration(self) -> float:
    """Bits per pixel of one iteration's codes, nothing else counted."""
    return self.code_depth / STRIDE_PX**2

  @property
  def max_iterations(self) -> int | None:
    """Those that it tells apart; None does any number alike."""
    return self.clock or self.own_weights or None

  def extra_passes(self, iteration: int) -> int:
    """Through encoder and decoder before those of an iteration, from 0."""
    return self.diffusion if iteration else self.priming

  @property
  def padding_px(self) -> int:
    """Images are padded to a multiple of this: the gain map is one value per 32x32."""
    return 32 if self.reconstruction == "residual_scaling" else STRIDE_PX
