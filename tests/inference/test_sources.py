import pytest

from hardnet_mm.inference.sources import Source, find_sources


def test_sources_of_a_text(tmp_path, monkeypatch):
    for name in ('a.jpg', 'b.png', 'inner/a.jpg', '.hidden/a.jpg', 'notes.txt'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'empty').mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_sources('0') == [Source('camera', '0', 'camera-0')]
    assert find_sources('rtsp://host/1') == [Source('camera', 'rtsp://host/1', 'camera')]
    assert find_sources('https://host/a/b.MP4?x=1.jpg')[0][::2] == ('video', 'b')
    assert find_sources('https://host/a/%2e%2e')[0][::2] == ('image', 'image')
    assert [source.name for source in find_sources('.')] == ['a', 'b', 'inner/a']
    for text in ('missing.jpg', '*.mp4', 'empty'):
        with pytest.raises(ValueError, match='no '):
            find_sources(text)
