"""From a document to paper: layout in cells, then ESC/POS bytes, a picture, or plain text."""
