"""Serve a page for the browser: choose a model, drop a picture, see predictions and times.

It needs gradio: pip install 'hardnet_mm[demo]'. The page is served to this machine only, and sends
nothing elsewhere. Published weights are downloaded when their model is first chosen.
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
        help='a model of your own, listed before the published ones; may be repeated',
    )
    add('--score-thr', type=fraction, default=0.3, help='initial minimum score; default: 0.3')
    add('--device', default='cpu', help='device to compute on, such as cpu, cuda or cuda:1')
    add('--port', type=int, default=7860, help='port of the page; default: 7860')
    args = parser.parse_args()
    for config, weights in args.model:
        check_file(parser, 'config', config)
        check_file(parser, 'checkpoint or exported file', weights)
    return args


class Models:
    """The models to choose from. Only the last chosen one is in memory.

    Args:
        own (list[tuple[str, str]]): Configs and weights of the user's models, listed first.
        device (str): Device to compute on. Defaults to 'cpu'.

    Attributes:
        choices (dict[str, tuple[str, str]]): Config and weights of each model, by name.
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
            # frees its memory before the next model is loaded, which may fail
            self._predictor = self._name = None
            model = load_model(*self.choices[name], self._device)
            self._predictor, self._name = make_predictor(model), name
        return self._predictor

    def predict(self, name, picture, score_thr):
        """Predict on a picture.

        Args:
            name (str): Name of the model.
            picture (ndarray): ``(H, W, 3)`` uint8, RGB.
            score_thr (float): Minimum score of predictions to draw. Segmentors ignore it.

        Returns:
            tuple[ndarray, list[list], str]: The drawn picture, RGB; rows of a class and its score
            or share of the pixels; and a text with the times.
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
    """Return the page, a gradio app.

    Args:
        models (Models): The models to choose from.
        score_thr (float): Initial minimum score.
    """
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
                    0, 1, score_thr, step=0.01, label='minimum score (detectors, classifiers)'
                )
                button = gradio.Button('Predict', variant='primary')
            with gradio.Column():
                buttons = ['download', 'fullscreen']  # gradio's default also has one that uploads
                drawn = gradio.Image(
                    label='found', interactive=False, format='png', buttons=buttons
                )
                times = gradio.Textbox(label='time', interactive=False)
                rows = gradio.Dataframe(headers=['class', 'score or share'], interactive=False)
        given, shown = [name, picture, slider], [drawn, rows, times]
        for event in (button.click, picture.upload, slider.release, name.input):
            # one call at a time: there is one model
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
