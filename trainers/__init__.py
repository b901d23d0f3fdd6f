"""Keras 3 models, losses, metrics and the codec bitstream; never TFX or Beam."""
