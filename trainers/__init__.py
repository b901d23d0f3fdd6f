"""Keras 3 models, losses, metrics and the codec bitstream; never TFX or Beam."""

import os

# TensorFlow turns oneDNN on by itself only on some processors; without it the
# gradients of convolutions run at a tenth of the speed. It is read once, when
# TensorFlow is first imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
