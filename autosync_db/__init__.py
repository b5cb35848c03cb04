"""Scheduled Edge Functions on Supabase and Postgres that provably run."""

__version__ = "0.1.0"
