"""A run over HTTP, on this machine unless told: an API for other programs (see docs/serve.md).

`api/` says what can be asked and answers it; the files here bring requests there and answers back. Starlette and
uvicorn are imported only here.
"""
