"""Draw what an exported SSD detects on an image.

It needs onnxruntime, numpy and opencv-python. The model is one that tools/export.py wrote.
"""

import argparse
import json
import os

import cv2
import numpy as np
import onnxruntime

SCORE = 0.3

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('model', help='the .onnx file of an SSD')
parser.add_argument('image', help='an image to read')
parser.add_argument('drawn', help='the image to write, with the boxes')
args = parser.parse_args()

if not os.path.isfile(args.model):
    parser.error(f'there is no file {args.model}')
session = onnxruntime.InferenceSession(args.model, providers=['CPUExecutionProvider'])
if [output.name for output in session.get_outputs()] != ['detections']:
    parser.error(f'{args.model} is no SSD that tools/export.py wrote')
height, width = session.get_inputs()[0].shape[2:]  # an SSD has one size
names = json.loads(session.get_modelmeta().custom_metadata_map.get('classes', 'null'))

image = cv2.imread(args.image)
if image is None:
    parser.error(f'{args.image} cannot be read as an image')
resized = cv2.resize(image, (width, height)).transpose(2, 0, 1)[None].astype(np.float32)
(detections,) = session.run(['detections'], dict(images=resized))

scale = np.array([image.shape[1] / width, image.shape[0] / height] * 2)
for _, label, score, *box in detections[detections[:, 2] > SCORE]:
    left, top, right, bottom = (np.array(box) * scale).round().astype(int).tolist()
    cv2.rectangle(image, (left, top), (right, bottom), (0, 200, 255), 1)
    text = f'{names[int(label)] if names else int(label)}: {score:.2f}'
    cv2.putText(image, text, (left, top - 2), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 200, 255), 1)
    print(text, left, top, right, bottom)
if not cv2.imwrite(args.drawn, image):
    parser.error(f'cannot write {args.drawn}')
