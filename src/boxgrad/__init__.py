"""boxgrad: deep learning that you can see through."""
