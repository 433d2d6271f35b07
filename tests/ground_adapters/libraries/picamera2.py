"""As much of picamera2 as takes a picture, with a point at everything it does."""

from typing import Any

from tests.ground_adapters.evil import point

point("picamera2.import")


class Picamera2:
    """One camera."""

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        point("picamera2.global_camera_info")
        return [{"Num": 0}]

    def __init__(self, number: int) -> None:
        point("picamera2.Picamera2")

    def __enter__(self) -> "Picamera2":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def create_still_configuration(self) -> dict[str, Any]:
        point("picamera2.create_still_configuration")
        return {}

    def configure(self, configuration: dict[str, Any]) -> None:
        point("picamera2.configure")

    def start(self) -> None:
        point("picamera2.start")

    def capture_file(self, out: Any, format: str) -> None:  # noqa: A002
        point("picamera2.capture_file")
        out.write(b"\xff\xd8picture\xff\xd9")

    def stop(self) -> None:
        point("picamera2.stop")

    def close(self) -> None:
        point("picamera2.close")
