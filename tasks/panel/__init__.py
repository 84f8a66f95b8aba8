"""Blind listening test: its sounds, its page, its key, and what the answers say."""
