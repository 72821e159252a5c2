"""One HTML page of results that needs nothing else: what is on it, how it is drawn, and a browser that looks at it."""
