_base_ = ['./ssd512_hardnet68_voc0712.py', './_base_/ssd512_hardnet85.py']

load_from = 'hardnet://hardnet85_base'

model = _base_.ssd512_hardnet85
