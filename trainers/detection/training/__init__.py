"""What a detector begins with, what it should say, and what training makes small."""
