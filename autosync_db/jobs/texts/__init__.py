"""What the text of a cron job does: it is parsed, and not run."""
