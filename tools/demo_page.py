"""A page in the browser: choose a model, drop a picture, see what is found, and how long it took.

It needs gradio: pip install 'hardnet_mm[demo]'. The page is served to this machine alone, and sends
nothing elsewhere; published weights are downloaded when their model is first chosen.
"""

import logging
import os
import time
import warnings
from pathlib import Path

from command_line import check_file, fraction, make_parser, run, user_path


def parse_args():
    parser = make_parser(__doc__)
    add = parser.add_argument
    add(
        '--model',
        nargs=2,
        action='append',
        default=[],
        type=user_path,
        metavar=('CONFIG', 'WEIGHTS'),
        help='a model of yours, offered before the published ones; may be given again',
    )
    add('--score-thr', type=fraction, default=0.3, help='where the slider stands at first')
    add('--device', default='cpu', help='where the network computes, as cpu, cuda or cuda:1')
    add('--port', type=int, default=7860, help='of the page on this machine')
    args = parser.parse_args()
    for config, weights in args.model:
        check_file(parser, 'config', config)
        check_file(parser, 'checkpoint or exported file', weights)
    return args


class Models:
    """The models to choose from; the last one chosen is held in memory.

    Args:
        own (list[tuple[str, str]]): Configs and weights that come first.
        device (str): Where they compute. Defaults to 'cpu'.

    Attributes:
        choices (dict[str, tuple[str, str]]): Config and weights of each, by name.
    """

    def __init__(self, own, device='cpu'):
        from hardnet_mm.checkpoints.published import WEIGHTS
        from hardnet_mm.inference.models import find_model

        self.choices = {f'{Path(pair[0]).stem}: {pair[1]}': tuple(pair) for pair in own}
        self.choices |= {name: find_model(name) for name in WEIGHTS if WEIGHTS[name].config}
        self._device, self._name, self._predictor = device, None, None

    def get(self, name):
        """Return the predictor of a model."""
        from hardnet_mm.inference.models import load_model
        from hardnet_mm.inference.predictors import make_predictor

        if name != self._name:
            self._predictor = None  # its memory is free before the next one is loaded
            model = load_model(*self.choices[name], self._device)
            self._predictor, self._name = make_predictor(model), name
        return self._predictor

    def predict(self, name, picture, score_thr):
        """Predict on a picture.

        Args:
            name (str): The model's.
            picture (ndarray): ``(H, W, 3)`` uint8, RGB.
            score_thr (float): Least score of what is drawn, where the model has such.

        Returns:
            tuple[ndarray, list[list], str]: The drawn picture, RGB; a row of class and score, or
            class and share of the pixels, for all that was found; and how long it took.
        """
        predictor = self.get(name)
        predictor.score_thr = score_thr
        image = picture[..., ::-1]
        start = time.perf_counter()
        (sample,) = predictor.predict([predictor.prepare(image)])
        found = time.perf_counter()
        drawn = predictor.draw(image, sample)[..., ::-1]
        drawing = time.perf_counter() - found
        times = f'{1000 * (found - start):.0f} ms to predict, {1000 * drawing:.0f} ms to draw'
        return drawn, predictor.rows(sample), times


def build_page(models, score_thr):
    """Return the page, an app of gradio."""
    import gradio

    from hardnet_mm.utils.errors import InputError

    def predict(name, picture, score_thr):
        if picture is None:
            return None, [], 'Drop a picture first.'
        try:
            return models.predict(name, picture, score_thr)
        except (InputError, OSError) as error:
            raise gradio.Error(str(error)) from error

    names = list(models.choices)
    with gradio.Blocks(title='HarDNet', analytics_enabled=False) as page:
        gradio.Markdown('# HarDNet\nChoose a model and drop a picture.')
        with gradio.Row():
            with gradio.Column():
                name = gradio.Dropdown(names, value=names[0], label='model')
                picture = gradio.Image(label='picture', type='numpy', image_mode='RGB')
                slider = gradio.Slider(
                    0, 1, score_thr, step=0.01, label='least score (detectors and classifiers)'
                )
                button = gradio.Button('Predict', variant='primary')
            with gradio.Column():
                buttons = ['download', 'fullscreen']  # and none that sends it away
                drawn = gradio.Image(
                    label='found', interactive=False, format='png', buttons=buttons
                )
                times = gradio.Textbox(label='time', interactive=False)
                rows = gradio.Dataframe(headers=['class', 'score or share'], interactive=False)
        given, shown = [name, picture, slider], [drawn, rows, times]
        for event in (button.click, picture.upload, slider.release, name.input):
            # one at a time: there is one model
            event(predict, given, shown, api_name='predict', concurrency_id='model')
    return page


def main(args):
    logging.disable(logging.WARNING)
    warnings.filterwarnings('ignore', module='mmengine.visualization')
    os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')
    page = build_page(Models(args.model, args.device), args.score_thr)
    page.launch(server_name='127.0.0.1', server_port=args.port, share=False)


if __name__ == '__main__':
    run(parse_args, main)
