_base_ = ['./ssd512_hardnet68_coco-to-voc0712.py', './_base_/ssd512_hardnet85.py']

load_from = 'hardnet://ssd512_hardnet85_coco'

model = _base_.ssd512_hardnet85
