"""Which recurrent codec: cell, reconstruction framework and sizes."""

from __future__ import annotations

import dataclasses
from typing import Literal

from hardmine.schemas.config import Config, added, require

CODE_DEPTH = 32  # bits per 16x16 block and iteration (1608.05148, section 3)
USUAL_ITERATIONS = 16  # of 1608.05148: 2 bits per pixel before entropy coding
STRIDE_PX = 16  # one code position covers 16x16 pixels


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecConfig(Config):
  """A network of Toderici et al. 2016 (arXiv 1608.05148).

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

  @property
  def padding_px(self) -> int:
    """Images are padded to a multiple of this: the gain map is one value per 32x32."""
    return 32 if self.reconstruction == "residual_scaling" else STRIDE_PX
