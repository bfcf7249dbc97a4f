# Trained and tested at 608 x 608. It has its own weights.
_base_ = './centernet_hardnet85_coco.py'

input_size = (608, 608)
train_pipeline = [
    {**step, 'scale': input_size} if step['type'] == 'RandomScaleShift' else step
    for step in _base_.train_pipeline
]
test_pipeline = [
    {**step, 'scale': input_size} if step['type'] == 'Resize' else step
    for step in _base_.test_pipeline
]
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1]['transforms'][0][0]['scale'] = input_size

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
