"""The file of a compressed picture: header, chunks, tiles, heights, sizes."""
