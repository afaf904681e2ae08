"""What can be asked over HTTP, in types that check requests, describe them in OpenAPI, and shape the answers."""
