"""How results look: as a table for people, as JSON for programs."""
