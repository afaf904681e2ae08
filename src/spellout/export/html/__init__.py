"""One page that makes lines in any browser, without a network: the model, what runs it, and what shows it."""

from .page import read_html, written

__all__ = ["read_html", "written"]
