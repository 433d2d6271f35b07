"""Libraries that raise anything anywhere: small true modules in the place of lgpio, picamera2 and pyserial."""
