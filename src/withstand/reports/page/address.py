"""Addresses of images within a page."""

import base64


def jpeg_address(image: bytes) -> str:
    """Return a JPEG file as a `data:` address."""
    return f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
