"""What fits a codec, and the folder of a training that goes on for days."""
