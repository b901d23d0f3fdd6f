"""Boxes: anchors, codings, matching, and what is kept of boxes that overlap."""
