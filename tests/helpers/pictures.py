"""Pictures and videos without meaning."""

import cv2
import numpy as np


def image(seed=0, size=(48, 64)):
    """Noise, ``(H, W, 3)`` uint8."""
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)


def write_video(path, count, fourcc='mp4v', size=(48, 64)):
    """Write a video whose frames are of one colour each, and return its path."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), 10, size[::-1])
    for number in range(count):
        writer.write(np.full((*size, 3), 20 * number % 256, np.uint8))
    writer.release()
    return path


def read_video(path):
    """Return all frames of a video."""
    video = cv2.VideoCapture(str(path))
    found = []
    while (answer := video.read())[0]:
        found.append(answer[1])
    return found
