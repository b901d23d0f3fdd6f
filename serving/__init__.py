"""Finished models: kept, promoted, asked, served and shown, without TFX or Beam."""
