"""A trained detector as the files by which it runs elsewhere."""
