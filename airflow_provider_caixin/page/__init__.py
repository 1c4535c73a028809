"""The Caixin page, its server side: what only the api-server imports."""
