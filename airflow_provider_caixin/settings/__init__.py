"""What Airflow says: options of ``[caixin]``, the connection, and which ledger."""
