"""Genre classifier: its data, network, training and files."""
