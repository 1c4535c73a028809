"""The plugin: what Airflow learns of this provider by itself."""
