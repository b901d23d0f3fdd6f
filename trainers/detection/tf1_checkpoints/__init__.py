"""Checkpoints of TensorFlow 1, and the backbones in them under slim's names."""
