"""Draw what an exported SSD detects on an image: detect.py model.onnx image.jpg drawn.jpg

It needs onnxruntime, numpy and opencv-python. The model is one that tools/export.py wrote.
"""

import sys

import cv2
import numpy as np
import onnxruntime

SCORE = 0.3

model, source, target = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
height, width = session.get_inputs()[0].shape[2:]  # an SSD has one size

image = cv2.imread(source)
if image is None:
    raise SystemExit(f'{source} is no image that OpenCV reads')
resized = cv2.resize(image, (width, height)).transpose(2, 0, 1)[None].astype(np.float32)
(detections,) = session.run(['detections'], dict(images=resized))

scale = np.array([image.shape[1] / width, image.shape[0] / height] * 2)
for _, label, score, *box in detections[detections[:, 2] > SCORE]:
    left, top, right, bottom = (np.array(box) * scale).round().astype(int).tolist()
    cv2.rectangle(image, (left, top), (right, bottom), (0, 200, 255), 1)
    text = f'{int(label)}: {score:.2f}'
    cv2.putText(image, text, (left, top - 2), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 200, 255), 1)
    print(text, left, top, right, bottom)
cv2.imwrite(target, image)
