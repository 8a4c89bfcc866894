"""All tiers of one machine as child processes."""
