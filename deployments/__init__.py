"""Setup of servers, workers and deployments."""
