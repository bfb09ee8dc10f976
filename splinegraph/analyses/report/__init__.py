"""One report on a graph, section by section: `splinegraph.analyze`."""
