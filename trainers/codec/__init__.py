"""Recurrent image codecs (arXiv 1511.06085, 1608.05148)."""
