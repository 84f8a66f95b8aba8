"""Page of a listening test: one HTML file beside its sounds."""
