"""What `promise serve` is made of: requests that wait, and the HTTP around them."""
