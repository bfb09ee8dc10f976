"""What a network keeps of its input: amplitude and phase, their preimage, reconstruction, and other codes beside."""
