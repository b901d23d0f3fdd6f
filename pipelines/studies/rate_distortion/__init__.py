"""Codecs side by side: what files of which size look like, and how long they take."""
