"""Draw the sandbox's two media files, owned by this project: a picture and a video of a sun over hills.

Usage: ``python scripts/make_sandbox_media.py`` (needs ``ffmpeg`` with libx264 on the PATH). It writes
``hills.jpeg`` and ``sunrise.mp4`` into ``airflow_provider_caixin/sandbox/media``. Both are committed, so
nobody needs to run it to use the project; it stays here so that what is committed can be made again.
"""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MEDIA = Path(__file__).parents[1] / "airflow_provider_caixin" / "sandbox" / "media"
FRAMES_PER_SECOND = 12
SECONDS = 4

Colour = tuple[float, float, float]
NIGHT: tuple[Colour, Colour] = ((38, 44, 92), (214, 120, 110))
DAY: tuple[Colour, Colour] = ((96, 170, 226), (255, 226, 178))
HILLS: tuple[tuple[float, float, float, float], ...] = (
    # base height, size, waves across the picture, phase; far to near
    (0.60, 0.055, 1.7, 0.4),
    (0.69, 0.070, 1.1, 2.1),
    (0.80, 0.060, 1.9, 4.4),
)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Return the colour ``share`` (0 to 1) of the way from one colour to another."""
    return (
        one[0] + (other[0] - one[0]) * share,
        one[1] + (other[1] - one[1]) * share,
        one[2] + (other[2] - one[2]) * share,
    )


def ridge(x: float, base: float, size: float, waves: float, phase: float) -> float:
    """Return where a hill begins (0 top, 1 bottom) at ``x`` (0 left, 1 right)."""
    angle = 2 * math.pi * waves * x + phase
    return base - size * (math.sin(angle) + 0.35 * math.sin(2.7 * angle + phase))


def draw(width: int, height: int, dawn: float) -> bytes:
    """Return one frame as packed RGB; ``dawn`` goes from 0 (before sunrise) to 1 (day)."""
    top, low = mix(NIGHT[0], DAY[0], dawn), mix(NIGHT[1], DAY[1], dawn)
    sun_x, sun_y, radius = 0.64 * width, (0.66 - 0.42 * dawn) * height, 0.085 * width
    sun = mix((255, 150, 96), (255, 244, 200), dawn)
    layers = [
        (
            [height * ridge(x / width, *hill) for x in range(width)],
            mix(mix(low, (24, 62, 58), 0.45 + 0.24 * depth), (12, 20, 40), 0.45 * (1 - dawn)),
        )
        for depth, hill in enumerate(HILLS)
    ]
    frame = bytearray()
    for y in range(height):
        sky = mix(top, low, min(1.0, y / (0.7 * height)))
        for x in range(width):
            colour = sky
            away = math.hypot(x - sun_x, y - sun_y)
            if away < radius:
                colour = sun
            elif away < 6 * radius:
                colour = mix(sky, sun, 0.5 * (1 - (away - radius) / (5 * radius)) ** 2)
            for line, shade in layers:
                if y >= line[x]:
                    colour = shade
            frame += bytes((int(colour[0]), int(colour[1]), int(colour[2])))
    return bytes(frame)


def encode(frames: Iterable[bytes], width: int, height: int, path: Path, *options: str) -> None:
    """Pipe raw frames through ffmpeg into ``path``; raises ``CalledProcessError`` when ffmpeg fails."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
    ]
    command += [
        "-r",
        str(FRAMES_PER_SECOND),
        "-i",
        "-",
        "-map_metadata",
        "-1",
        "-fflags",
        "+bitexact",
        *options,
        str(path),
    ]
    subprocess.run(command, input=b"".join(frames), check=True)


def sunrise(width: int, height: int) -> Iterator[bytes]:
    """Yield the video's frames: the sun comes up, quickly first and then at rest."""
    count = FRAMES_PER_SECOND * SECONDS
    for number in range(count):
        yield draw(width, height, math.sin(min(1.0, number / (0.85 * count)) * math.pi / 2))


def main() -> None:
    """Write both files and print their sizes."""
    picture, video = MEDIA / "hills.jpeg", MEDIA / "sunrise.mp4"
    encode([draw(480, 640, 0.35)], 480, 640, picture, "-frames:v", "1", "-q:v", "2", "-pix_fmt", "yuvj420p")
    h264 = (
        "-c:v",
        "libx264",
        "-preset",
        "veryslow",
        "-crf",
        "30",
        "-profile:v",
        "main",
        "-pix_fmt",
        "yuv420p",
    )
    encode(sunrise(270, 360), 270, 360, video, *h264, "-movflags", "+faststart")
    for path in (picture, video):
        print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
