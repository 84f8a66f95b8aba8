"""Limits of the figures by which a result is judged; light to import."""

GATES = {"content": 0.55, "texture": 0.55, "carrier_db": 3.4, "follow": 0.25}
"""Limits that a pair at strength 1 must all reach to count as a transfer and not as a mix."""
