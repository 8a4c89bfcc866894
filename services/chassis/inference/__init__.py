"""Running torch networks without torch's own kernels; only tiers that do so import from here."""
