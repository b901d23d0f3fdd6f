"""What a photograph carries beside its pixels: read, cleaned, and written again."""
