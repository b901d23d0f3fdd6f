"""Recurrent units, one file each."""
