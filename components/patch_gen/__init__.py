"""Photographs to hard square patches."""
