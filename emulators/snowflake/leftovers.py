"""What fakesnow leaves on the disk, taken away when the process ends.

fakesnow makes a folder for internal stages when it is imported; nothing here uses it, and nobody removes it.
"""

import atexit
import shutil

from fakesnow.transforms.stage import LOCAL_BUCKET_PATH


def remove_leftovers() -> None:
    """Remove fakesnow's folder. Safe to repeat; to be called where a process skips its exit handlers."""
    shutil.rmtree(LOCAL_BUCKET_PATH, ignore_errors=True)


def remove_leftovers_at_exit() -> None:
    """Have it removed at the ordinary end of the process."""
    atexit.register(remove_leftovers)
