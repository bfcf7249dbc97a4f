import pytest

from hardnet_mm.utils.files import written_whole


def contents(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*')}


def test_a_file_takes_its_place_at_the_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ('file.txt', tmp_path / 'new/folder/file.txt'):
        with written_whole(path) as new:
            new.write_text('half')
            assert not (tmp_path / path).exists()
            new.write_text('whole')
        assert (tmp_path / path).read_text() == 'whole'
    assert contents(tmp_path) == {'file.txt', 'new', 'new/folder', 'new/folder/file.txt'}


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    """The old file, the folders that were there, and none that were not."""
    (tmp_path / 'old.txt').write_text('old')
    for path in ('old.txt', 'new/folder/file.txt'):
        with pytest.raises(error), written_whole(tmp_path / path) as new:
            new.write_text('half')
            raise error
    assert contents(tmp_path) == {'old.txt'}
    assert (tmp_path / 'old.txt').read_text() == 'old'
