"""What operators see: logs, open and recent requests, totals of the fleet, OpenTelemetry."""
