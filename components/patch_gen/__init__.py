"""Photographs to hard 32x32 patches."""
