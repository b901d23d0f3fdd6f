"""Backbones of detectors, one file each."""
