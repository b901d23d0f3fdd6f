"""A trained codec as the files by which it runs elsewhere."""
