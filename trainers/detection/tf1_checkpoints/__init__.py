"""Checkpoints of TensorFlow 1: slim's classifiers and the Object Detection API's."""
