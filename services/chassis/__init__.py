"""What every tier shares: lifecycle, health, errors, settings, metrics, logging, pictures, channels, model store."""
