"""What PostgreSQL has. Reads the system catalogs; knows nothing of Django models."""
