"""Images on their way to a network: annotated ones in batches, photographs resized."""
