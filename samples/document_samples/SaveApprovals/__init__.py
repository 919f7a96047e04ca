import os
import pathlib


def main(approvals: list) -> str:
    # Fails as long as the folder that APPROVALS_FOLDER names does not exist.
    path = pathlib.Path(os.environ["APPROVALS_FOLDER"], "approvals.txt")
    path.write_text("\n".join(approvals))
    return f"{len(approvals)} approvals saved"
