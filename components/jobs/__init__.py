"""What every Beam job of ours is made of."""
