"""Storage in Postgres or an embedded SQLite file, by SQLAlchemy Core."""
