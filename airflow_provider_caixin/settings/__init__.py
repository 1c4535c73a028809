"""What is set in Airflow: the options of ``[caixin]``, the connection, and which ledger."""
