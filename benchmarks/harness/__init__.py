"""What every benchmark needs: keeping results, writing them, and the page made of them."""
