"""The routes of the Caixin page, a module a job."""
