"""Samples from files, folders, datasets and tensors, read piece by piece: `splinegraph.data.reading.read_data`."""
