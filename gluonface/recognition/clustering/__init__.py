"""Which faces belong together, and the page that shows them."""
