"""Report of a catalogue: a result per row, tables, partial results of shards."""
