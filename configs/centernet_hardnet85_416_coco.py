# The weights of 512 x 512, tested at 416 x 416.
_base_ = './centernet_hardnet85_coco.py'

input_size = (416, 416)
test_pipeline = [
    {**step, 'scale': input_size} if step['type'] == 'Resize' else step
    for step in _base_.test_pipeline
]
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1]['transforms'][0][0]['scale'] = input_size

val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
