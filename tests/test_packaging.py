import shutil
import subprocess
import sys
import zipfile


def test_wheel_holds_what_mim_looks_for(root, tmp_path):
    """mim reads configs, tools and the model index from .mim inside the installed package."""
    left_out = shutil.ignore_patterns('.venv*', '.git', 'data', 'work_dirs', 'build', '*.egg-info')
    shutil.copytree(root, tmp_path / 'source', symlinks=True, ignore=left_out)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '.']
    subprocess.run(
        [*command, '-w', str(tmp_path)], cwd=tmp_path / 'source', check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob('hardnet_mm-*.whl')
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in names if '.dist-info/' not in name}
    assert {name.split('/')[0] for name in packed} == {'hardnet_mm'}
    files = ['model-index.yml']
    for folder in ('configs', 'tools'):
        found = (root / folder).rglob('*')
        files += [str(p.relative_to(root)) for p in found if p.suffix in ('.py', '.sh', '.yml')]
    assert len(files) > 10
    assert {f'hardnet_mm/.mim/{name}' for name in files} <= packed
    # onedl-mim takes the first of an installed package's files, in order, for its folder.
    first = sorted(names)[0].split('/')[0]
    assert {f'{first}/.mim/{name}' for name in files} <= set(names)
    modules = {str(p.relative_to(root)) for p in (root / 'hardnet_mm').rglob('*.py')}
    assert {name for name in modules if '.mim' not in name} <= packed
