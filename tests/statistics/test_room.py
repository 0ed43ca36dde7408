import subprocess
import sys

import saliency_stats.statistics as room


def test_the_room_imports_without_torch_and_without_other_rooms():
    code = (
        "import sys, saliency_stats.statistics\n"
        "own = ('saliency_stats.statistics', 'saliency_stats.errors', 'saliency_stats.vocabulary')\n"
        "ours = [name for name in sys.modules if name.startswith('saliency_stats.')]\n"
        "print('torch' in sys.modules, [name for name in ours if not name.startswith(own)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "[]"]


def test_every_public_name_exists_and_is_documented():
    for name in room.__all__:
        assert getattr(room, name).__doc__, name
