"""What goes along beside the colours: transparency and metadata."""
