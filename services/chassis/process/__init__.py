"""What every process shares: settings, logs, metrics, memory."""
