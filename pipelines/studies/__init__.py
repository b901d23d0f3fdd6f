"""Sweeps over models, and what they show side by side."""
