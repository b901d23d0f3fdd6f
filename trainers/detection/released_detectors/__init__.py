"""Detectors of the Object Detection API's model zoo, as ours."""
